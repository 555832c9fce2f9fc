module wharfinger.dev/local/stdio-server

go 1.26.0

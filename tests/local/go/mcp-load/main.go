// An MCP server that costs next to nothing, and a load of clients for what stands in front of it: both ends of the gateway's bench.
//
//	mcp-load serve ADDRESS
//	mcp-load drive -url URL -token TOKEN …
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) >= 3 && os.Args[1] == "serve" {
		fail(serve(os.Args[2]))
	}
	if len(os.Args) >= 2 && os.Args[1] == "drive" {
		fail(drive(os.Args[2:]))
		return
	}
	fail(fmt.Errorf("usage: mcp-load serve ADDRESS | mcp-load drive -url URL -token TOKEN"))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "mcp-load:", err)
		os.Exit(1)
	}
}

"""Talk to the Kubernetes API server: requests, server-side apply, informers, leases, events; dictionaries in and out."""

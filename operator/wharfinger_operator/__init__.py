"""The operator: custom resources in; workloads, policies and connections out."""

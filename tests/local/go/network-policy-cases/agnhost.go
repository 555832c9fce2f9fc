//go:build tools

// What the cases run in their pods; named here, so that its packages stand in go.mod.
package cases

import _ "k8s.io/kubernetes/test/images/agnhost"

// Command cilium-rules judges policies by the rules of Cilium's own agent, which no schema checks. It reads a JSON list of
// CiliumNetworkPolicies and writes a JSON list with an empty string for each that the agent takes, or with what it says.
package main

import (
	"encoding/json"
	"log"
	"os"

	"github.com/cilium/cilium/pkg/policy/api"
)

func main() {
	var policies []json.RawMessage
	if err := json.NewDecoder(os.Stdin).Decode(&policies); err != nil {
		log.Fatal(err)
	}
	said := make([]string, len(policies))
	for i, text := range policies {
		var policy struct{ Spec api.Rule }
		err := json.Unmarshal(text, &policy)
		if err == nil {
			err = policy.Spec.Sanitize()
		}
		if err != nil {
			said[i] = err.Error()
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(said); err != nil {
		log.Fatal(err)
	}
}

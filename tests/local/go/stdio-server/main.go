// Command stdio-server is an MCP server over stdio with one tool, echo, for images that hold nothing else.
//
// Messages are JSON-RPC 2.0, one a line (MCP 2025-06-18, transports: stdio). It logs a line to standard error for each call.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

const longestMessage = 16 << 20

type request struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		ProtocolVersion string                     `json:"protocolVersion"`
		Name            string                     `json:"name"`
		Arguments       map[string]json.RawMessage `json:"arguments"`
	} `json:"params"`
}

type failure struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

type object = map[string]any

func main() {
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, longestMessage)
	output := json.NewEncoder(os.Stdout)
	for input.Scan() {
		var asked request
		if err := json.Unmarshal(input.Bytes(), &asked); err != nil {
			answer(output, json.RawMessage("null"), nil, &failure{-32700, err.Error()})
			continue
		}
		if asked.ID == nil { // a notification
			continue
		}
		result, fault := respond(asked)
		answer(output, asked.ID, result, fault)
	}
}

func respond(asked request) (any, *failure) {
	switch asked.Method {
	case "initialize":
		return object{
			"protocolVersion": asked.Params.ProtocolVersion,
			"capabilities":    object{"tools": object{}},
			"serverInfo":      object{"name": "stdio-server", "version": "1"},
		}, nil
	case "ping":
		return object{}, nil
	case "tools/list":
		schema := object{"type": "object", "properties": object{"text": object{"type": "string"}}, "required": []string{"text"}}
		return object{"tools": []object{{"name": "echo", "description": "Returns its text.", "inputSchema": schema}}}, nil
	case "tools/call":
		fmt.Fprintln(os.Stderr, "tools/call", asked.Params.Name)
		var text string
		if asked.Params.Name != "echo" || json.Unmarshal(asked.Params.Arguments["text"], &text) != nil {
			return nil, &failure{-32602, "the one tool is echo, and it needs text"}
		}
		return object{"content": []object{{"type": "text", "text": text}}}, nil
	}
	return nil, &failure{-32601, "no such method: " + asked.Method}
}

func answer(output *json.Encoder, id json.RawMessage, result any, fault *failure) {
	reply := object{"jsonrpc": "2.0", "id": id}
	if fault != nil {
		reply["error"] = fault
	} else {
		reply["result"] = result
	}
	if err := output.Encode(reply); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

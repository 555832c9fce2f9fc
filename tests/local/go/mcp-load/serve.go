package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"
)

// How many requests with a tools/call came, which GET /calls tells.
var calls, sessions atomic.Int64

var (
	idMember   = []byte(`"id":`)
	textMember = []byte(`"text":"`)
	nameMember = []byte(`"name":"`)
	listResult = toolList()
)

func serve(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go answer(conn)
	}
}

func answer(conn net.Conn) {
	defer conn.Close()
	reader := bufio.NewReaderSize(conn, 128*1024)
	var in message
	var out, body []byte
	for read(reader, &in) == nil {
		head := "Content-Type: application/json\r\n"
		body, head = reply(&in, body[:0], head)
		if head == "" {
			out = append(out[:0], "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"...)
		} else {
			out = append(out[:0], "HTTP/1.1 200 OK\r\n"...)
			out = append(out, head...)
			out = fmt.Appendf(out, "Content-Length: %d\r\n\r\n", len(body))
			out = append(out, body...)
		}
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}

// reply appends the answer to a request and returns its head fields, none where it is a notification.
func reply(in *message, body []byte, head string) ([]byte, string) {
	if bytes.HasPrefix(in.first, []byte("GET /calls")) {
		return fmt.Appendf(body, "%d", calls.Load()), head
	}
	if bytes.HasPrefix(in.first, []byte("DELETE")) {
		return body, head
	}
	id := number(in.body)
	if id == nil {
		return body, ""
	}
	switch {
	case bytes.Contains(in.body, []byte(`"tools/call"`)):
		calls.Add(1)
		return call(in, id, body, head)
	case bytes.Contains(in.body, []byte(`"tools/list"`)):
		return result(body, id, listResult), head
	case bytes.Contains(in.body, []byte(`"initialize"`)):
		head += fmt.Sprintf("Mcp-Session-Id: s-%d\r\n", sessions.Add(1))
		return result(body, id, []byte(`{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"load","version":"1"}}`)), head
	default:
		body = append(append(append(body, `{"jsonrpc":"2.0","id":`...), id...), `,"error":{"code":-32601,"message":"no such method"}}`...)
		return body, head
	}
}

// call echoes the text; a tool whose name begins with `slow` takes 50 ms, with `stream` an event stream, with `big` 64 KiB.
func call(in *message, id, body []byte, head string) ([]byte, string) {
	text, name := member(in.body, textMember), member(in.body, nameMember)
	if bytes.HasPrefix(name, []byte("slow")) {
		time.Sleep(50 * time.Millisecond)
	}
	events := bytes.HasPrefix(name, []byte("stream"))
	if events {
		head = "Content-Type: text/event-stream\r\n"
		body = append(body, "event: message\ndata: "...)
	}
	body = append(append(append(body, `{"jsonrpc":"2.0","id":`...), id...), `,"result":{"content":[{"type":"text","text":"`...)
	body = append(append(body, text...), `"}]}}`...)
	if events {
		body = append(body, "\n\n"...)
	}
	return body, head
}

func result(body, id, value []byte) []byte {
	body = append(append(append(body, `{"jsonrpc":"2.0","id":`...), id...), `,"result":`...)
	return append(append(body, value...), '}')
}

// number returns the id of a request, which all that ask here have as a number.
func number(body []byte) []byte {
	at := bytes.Index(body, idMember)
	if at < 0 {
		return nil
	}
	rest := bytes.TrimLeft(body[at+len(idMember):], " ")
	end := bytes.IndexAny(rest, ",}")
	if end < 0 {
		return nil
	}
	return rest[:end]
}

func member(body, name []byte) []byte {
	at := bytes.Index(body, name)
	if at < 0 {
		return nil
	}
	rest := body[at+len(name):]
	return rest[:max(0, bytes.IndexByte(rest, '"'))]
}

func toolList() []byte {
	var tools []string
	for _, name := range []string{"echo", "slow", "stream", "big", "e", "f", "g", "h", "i", "j"} {
		tools = append(tools, fmt.Sprintf(
			`{"name":"%s","description":"%s","inputSchema":{"type":"object","properties":{"text":{"type":"string"}},"required":["text"]}}`,
			name, strings.Repeat("What it does. ", 20)))
	}
	return []byte(`{"tools":[` + strings.Join(tools, ",") + `]}`)
}

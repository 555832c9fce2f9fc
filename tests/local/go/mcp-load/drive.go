package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// What a load is, and what came of it.
type load struct {
	host, path, token, header, tool, kind string
	connections, size                     int
	seconds                               float64
	leave                                 bool
}

type measured struct {
	Requests int64   `json:"requests"`
	Errors   int64   `json:"errors"`
	First    string  `json:"first_error"`
	Seconds  float64 `json:"seconds"`
	P50      float64 `json:"p50_us"`
	P99      float64 `json:"p99_us"`
}

func drive(arguments []string) error {
	var asked load
	flags := flag.NewFlagSet("drive", flag.ContinueOnError)
	where := flags.String("url", "", "of the endpoint")
	flags.StringVar(&asked.token, "token", "", "value of the header")
	flags.StringVar(&asked.header, "header", "Authorization", "that the token is sent in")
	flags.StringVar(&asked.tool, "tool", "echo", "name of the tool")
	flags.StringVar(&asked.kind, "kind", "call", "call, list, cycle, or hold: open sessions and keep them until stdin ends")
	flags.IntVar(&asked.connections, "connections", 1, "at once")
	flags.IntVar(&asked.size, "size", 0, "bytes of the argument, besides a text of its own")
	flags.Float64Var(&asked.seconds, "seconds", 1, "to go on")
	flags.BoolVar(&asked.leave, "leave", false, "break off amid the last reply")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	target, err := url.Parse(*where)
	if err != nil {
		return err
	}
	asked.host, asked.path = target.Host, target.Path
	if asked.kind == "hold" {
		return hold(asked)
	}
	return json.NewEncoder(os.Stdout).Encode(run(asked))
}

func run(asked load) measured {
	done := make([]*client, asked.connections)
	for number := range done {
		done[number] = &client{load: asked, number: number, filler: strings.Repeat("x", asked.size)}
	}
	everybody(done, (*client).prepare)
	began := time.Now()
	everybody(done, (*client).work)
	total := measured{Seconds: time.Since(began).Seconds()}
	var taken []time.Duration
	for _, one := range done {
		total.Requests += int64(len(one.taken))
		taken = append(taken, one.taken...)
		if one.err != nil {
			total.Errors++
			total.First = one.err.Error()
		}
	}
	slices.Sort(taken)
	if len(taken) > 0 {
		total.P50 = float64(taken[len(taken)/2].Nanoseconds()) / 1000
		total.P99 = float64(taken[len(taken)*99/100].Nanoseconds()) / 1000
	}
	return total
}

func everybody(clients []*client, does func(*client)) {
	var wait sync.WaitGroup
	for _, one := range clients {
		wait.Go(func() { does(one) })
	}
	wait.Wait()
}

func hold(asked load) error {
	for number := range asked.connections {
		one := &client{load: asked, number: number}
		if err := one.open(); err != nil {
			return err
		}
		if err := one.begin(); err != nil {
			return err
		}
		if err := one.request(1); err != nil {
			return err
		}
		one.conn.Close()
	}
	fmt.Println("held")
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
	return nil
}

// One client on one connection, with a session of its own.
type client struct {
	load
	number  int
	filler  string
	conn    net.Conn
	reader  *bufio.Reader
	session []byte
	in      message
	out     []byte
	body    []byte
	taken   []time.Duration
	err     error
}

// prepare has the connection and the session made, and each path through what stands before the server warm.
func (c *client) prepare() {
	if c.err = c.open(); c.err != nil || c.kind == "cycle" {
		return
	}
	if c.err = c.begin(); c.err == nil {
		c.err = c.request(0)
	}
}

func (c *client) work() {
	if c.err != nil {
		return
	}
	defer c.conn.Close()
	end := time.Now().Add(time.Duration(c.seconds * float64(time.Second)))
	for count := 1; ; count++ {
		began := time.Now()
		if began.After(end) {
			break
		}
		if c.kind == "cycle" {
			c.err = c.cycle(count)
		} else {
			c.err = c.request(count)
		}
		if c.err != nil {
			return
		}
		c.taken = append(c.taken, time.Since(began))
	}
	if c.leave {
		c.err = c.send("POST", c.call(1<<30))
	}
}

func (c *client) open() error {
	conn, err := net.Dial("tcp", c.host)
	if err != nil {
		return err
	}
	c.conn, c.reader = conn, bufio.NewReaderSize(conn, 128*1024)
	return nil
}

func (c *client) cycle(count int) error {
	if err := c.begin(); err != nil {
		return err
	}
	if err := c.request(count); err != nil {
		return err
	}
	return c.exchange("DELETE", nil, 200, 204)
}

func (c *client) begin() error {
	c.session = c.session[:0]
	initialize := []byte(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"load","version":"1"}}}`)
	if err := c.exchange("POST", initialize, 200); err != nil {
		return err
	}
	if len(c.in.session) == 0 {
		return errors.New("no session")
	}
	c.session = append(c.session, c.in.session...)
	return c.exchange("POST", []byte(`{"jsonrpc":"2.0","method":"notifications/initialized"}`), 202)
}

func (c *client) call(count int) []byte {
	c.body = fmt.Appendf(c.body[:0], `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"%s","arguments":{"text":"%d-%d-%s"}}}`,
		count, c.tool, c.number, count, c.filler)
	return c.body
}

func (c *client) request(count int) error {
	if c.kind == "list" {
		if err := c.exchange("POST", fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"tools/list"}`, count), 200); err != nil {
			return err
		}
		return c.holds([]byte(`"inputSchema"`))
	}
	if err := c.exchange("POST", c.call(count), 200); err != nil {
		return err
	}
	if len(c.in.body) < c.size {
		return fmt.Errorf("an answer of %d bytes", len(c.in.body))
	}
	return c.holds(fmt.Appendf(nil, `"%d-%d-`, c.number, count))
}

func (c *client) holds(wanted []byte) error {
	if !bytes.Contains(c.in.body, wanted) {
		return fmt.Errorf("an answer to something else: %.200q", c.in.body)
	}
	return nil
}

func (c *client) send(verb string, body []byte) error {
	c.out = fmt.Appendf(c.out[:0], "%s %s HTTP/1.1\r\nHost: %s\r\n%s: %s\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nContent-Length: %d\r\n",
		verb, c.path, c.host, c.header, c.token, len(body))
	if len(c.session) > 0 {
		c.out = append(append(append(c.out, "Mcp-Session-Id: "...), c.session...), "\r\nMCP-Protocol-Version: 2025-11-25\r\n"...)
	}
	c.out = append(append(c.out, "\r\n"...), body...)
	_, err := c.conn.Write(c.out)
	return err
}

func (c *client) exchange(verb string, body []byte, wanted ...int) error {
	if err := c.send(verb, body); err != nil {
		return err
	}
	if err := read(c.reader, &c.in); err != nil {
		return err
	}
	status, err := c.in.status()
	if err == nil && !slices.Contains(wanted, status) {
		err = fmt.Errorf("%s was answered with %d: %.200q", verb, status, c.in.body)
	}
	return err
}

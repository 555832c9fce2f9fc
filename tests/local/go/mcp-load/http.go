package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// A message of HTTP/1.1 with a body whose end is known.
type message struct {
	first   []byte // The request or status line.
	session []byte // Mcp-Session-Id, if there is one.
	body    []byte
	events  bool // The body is an event stream.
}

var (
	lengthField  = []byte("content-length:")
	codingField  = []byte("transfer-encoding:")
	sessionField = []byte("mcp-session-id:")
	typeField    = []byte("content-type:")
)

// read takes the next message. Its parts are valid until the next call.
func read(from *bufio.Reader, into *message) error {
	into.session, into.events, into.body = into.session[:0], false, into.body[:0]
	length, chunked := 0, false
	for number := 0; ; number++ {
		line, err := from.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case number == 0:
			into.first = append(into.first[:0], line...)
		case len(line) == 0:
			return readBody(from, into, length, chunked)
		case hasField(line, lengthField):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(lengthField):]))); err != nil {
				return err
			}
		case hasField(line, codingField):
			chunked = true
		case hasField(line, sessionField):
			into.session = append(into.session, bytes.TrimSpace(line[len(sessionField):])...)
		case hasField(line, typeField):
			into.events = bytes.Contains(line, []byte("event-stream"))
		}
	}
}

func hasField(line, name []byte) bool {
	return len(line) > len(name) && bytes.EqualFold(line[:len(name)], name)
}

func readBody(from *bufio.Reader, into *message, length int, chunked bool) error {
	if !chunked {
		return readMore(from, into, length)
	}
	for {
		line, err := from.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 32)
		if err != nil {
			return err
		}
		if err := readMore(from, into, int(size)); err != nil {
			return err
		}
		if _, err := from.Discard(2); err != nil || size == 0 {
			return err
		}
	}
}

func readMore(from *bufio.Reader, into *message, size int) error {
	start := len(into.body)
	if need := start + size; cap(into.body) < need {
		grown := make([]byte, start, 2*need)
		copy(grown, into.body)
		into.body = grown
	}
	into.body = into.body[:start+size]
	_, err := io.ReadFull(from, into.body[start:])
	return err
}

// status returns the code of a response's first line.
func (m *message) status() (int, error) {
	if len(m.first) < 12 {
		return 0, errors.New("no status line")
	}
	code, err := strconv.Atoi(string(m.first[9:12]))
	if err != nil {
		return 0, fmt.Errorf("no status line: %q", m.first)
	}
	return code, nil
}

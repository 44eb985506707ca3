package app

import (
	"net"
	"testing"
)

func TestLocalURL(t *testing.T) {
	t.Parallel()
	listening := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4711}
	for addr, want := range map[string][2]string{ // before and after Start
		"localhost:8080":  {"http://localhost:8080", "http://localhost:4711"},
		"127.0.0.1:0":     {"http://127.0.0.1:0", "http://127.0.0.1:4711"},
		":8080":           {"http://localhost:8080", "http://localhost:4711"},
		"0.0.0.0:8080":    {"http://localhost:8080", "http://localhost:4711"},
		"[::]:8080":       {"http://localhost:8080", "http://localhost:4711"},
		"[::1]:8080":      {"http://[::1]:8080", "http://[::1]:4711"},
		"roster.lan:8080": {"http://roster.lan:8080", "http://roster.lan:4711"},
	} {
		if before, after := localURL(addr), localURL(addr, listening); before != want[0] || after != want[1] {
			t.Errorf("%s: %s and %s, want %v", addr, before, after, want)
		}
	}
}

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/alecthomas/kong"

	"github.com/rosterhq/roster/internal/config"
)

type healthcheckCommand struct{}

// Run asks the service that runs with the same settings whether it is ready. It
// fails when there is no answer within three seconds or another status than 200.
func (healthcheckCommand) Run(ctx context.Context, c *config.Config, line *kong.Context) error {
	host, port, err := net.SplitHostPort(c.ListenAddr(isGiven(line, "addr")))
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	const timeout = 3 * time.Second
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	url := "http://" + net.JoinHostPort(host, port) + "/readyz"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", response.Status)
	}
	return nil
}

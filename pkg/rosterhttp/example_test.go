package rosterhttp_test

import (
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/rosterhq/roster/pkg/client"
	"github.com/rosterhq/roster/pkg/rosterhttp"
)

func Example() {
	roster, err := client.New("http://localhost:8080", client.Token(os.Getenv("ROSTER_TOKEN")))
	if err != nil {
		log.Fatal(err)
	}
	guard := rosterhttp.New(roster)
	http.Handle("GET /accounts", guard.Require("users.view")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "The accounts for %s", rosterhttp.CallerFrom(r.Context()).Subject)
	})))
}

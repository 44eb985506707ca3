package client_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/rosterhq/roster/pkg/client"
)

func ExampleNewClientWithResponses() {
	server := httptest.NewServer(http.HandlerFunc(roster))
	defer server.Close()

	ctx := context.Background()
	c, err := client.NewClientWithResponses(server.URL, client.WithToken("rst_secret"))
	if err != nil {
		fmt.Println(err)
		return
	}

	created, err := c.CreateUserWithResponse(ctx, &client.CreateUserParams{IdempotencyKey: new("order-17")}, client.UserCreate{
		Name: "Mary", Email: "email@website.com", Password: "MySecret123", Active: true, Groups: []int64{1},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if created.JSON201 == nil {
		fmt.Println(created.Status(), created.JSONDefault)
		return
	}
	fmt.Println("created:", created.JSON201.ID, created.HTTPResponse.Header.Get("ETag"))

	// Whoever has this address, or nobody.
	found, err := c.ListUsersWithResponse(ctx, &client.ListUsersParams{FilterEmail: new("email@website.com")})
	if err != nil {
		fmt.Println(err)
		return
	}
	if found.JSON200 == nil {
		fmt.Println(found.Status(), found.JSONDefault)
		return
	}
	fmt.Println("found:", len(found.JSON200.Data), found.JSON200.Data[0].Name)

	// Remove the phone number, unless somebody else was faster.
	updated, err := c.UpdateUserWithResponse(ctx, "1", &client.UpdateUserParams{IfMatch: new(`"1"`)}, client.UserUpdate{
		Phone: client.Null[string](),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("refused:", updated.JSONDefault)

	// Output:
	// created: 1 "1"
	// found: 1 Mary
	// refused: This has been changed since: it is at version 2 now. (412 stale_version)
}

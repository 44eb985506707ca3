package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/rosterhq/roster/pkg/client"
)

// Example creates a user, changes her unless somebody else was faster, and lists all who are active.
func Example() {
	ctx := context.Background()
	c, err := client.New(os.Getenv("ROSTER_URL"), client.Token(os.Getenv("ROSTER_TOKEN")))
	if err != nil {
		log.Fatal(err)
	}
	mary, err := c.Users.Create(ctx, client.UserCreate{
		Name: "Mary", Email: "mary@example.com", Password: "MySecret123", Active: true,
	})
	if e, ok := errors.AsType[*client.Error](err); ok && e.Code == "email_taken" {
		log.Fatal("There is a Mary already.")
	} else if err != nil {
		log.Fatal(err)
	}
	change := client.UserUpdate{Name: new("Mary Ann")}
	if _, err = c.Users.Update(ctx, mary.ID, change, client.IfVersion(mary.Version)); err != nil {
		log.Fatal(err)
	}
	for user, err := range c.Users.List(ctx, client.UserList{Status: "active"}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(user.ID, user.Name, user.Email)
	}
}

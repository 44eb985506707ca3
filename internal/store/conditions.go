package store

import (
	"fmt"
	"strings"

	"github.com/rosterhq/roster/internal/identity"
)

// conditions builds a WHERE clause with its arguments.
type conditions struct {
	texts []string
	args  []any
}

// add adds a condition with one placeholder.
func (c *conditions) add(format string, arg any) {
	c.texts = append(c.texts, fmt.Sprintf(format, c.placeholder(arg)))
}

// placeholder adds an argument and returns the number of its placeholder.
func (c *conditions) placeholder(arg any) int {
	c.args = append(c.args, arg)
	return len(c.args)
}

// addCreator adds the condition that a creator, or each part of it that is set, has made the row.
func (c *conditions) addCreator(by identity.Creator) {
	// <> 0 is the condition of the indexes of tokens.
	if by.UserID != 0 {
		c.add("created_by_user = $%d AND created_by_user <> 0", by.UserID)
	}
	if by.TokenID != 0 {
		c.add("created_by_token = $%d AND created_by_token <> 0", by.TokenID)
	}
}

// either joins the last two conditions with OR.
func (c *conditions) either() {
	n := len(c.texts)
	c.texts = append(c.texts[:n-2], "("+c.texts[n-2]+" OR "+c.texts[n-1]+")")
}

func (c *conditions) String() string {
	if len(c.texts) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(c.texts, " AND ")
}

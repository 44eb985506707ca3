package client

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Error is what Roster, or a proxy before it, answers when it does not do what was asked.
//
//	if e, ok := errors.AsType[*client.Error](err); ok && e.Code == "email_taken" { … }
type Error struct {
	Status     int           // of HTTP, such as 409
	Code       string        // for programs, such as email_taken; "" if a proxy has answered
	Message    string        // a sentence for people
	Fields     []FieldError  // what was wrong, if it was fields
	RequestID  string        // by which Roster's log has the request
	RetryAfter time.Duration // how long to wait; 0 if nothing is said
}

// FieldError is what is wrong with one field.
type FieldError struct {
	Field   string `json:"field"` // its path in the body, or a parameter
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Error returns the message, with the fields, the status and the code.
func (e *Error) Error() string {
	text := e.Message
	for _, f := range e.Fields {
		text += fmt.Sprintf(" %s: %s.", f.Field, f.Message)
	}
	if e.Code == "" {
		return fmt.Sprintf("%s (%d)", text, e.Status)
	}
	return fmt.Sprintf("%s (%d %s)", text, e.Status, e.Code)
}

// errorFrom reads an answer that is no success.
func errorFrom(response *http.Response, body []byte) *Error {
	var problem struct {
		Code      string       `json:"code"`
		Detail    string       `json:"detail"`
		Errors    []FieldError `json:"errors"`
		RequestID string       `json:"requestId"`
	}
	e := &Error{Status: response.StatusCode, RetryAfter: retryAfter(response.Header.Get("Retry-After"), time.Now())}
	if json.Unmarshal(body, &problem) == nil && problem.Code != "" {
		e.Code, e.Message, e.Fields, e.RequestID = problem.Code, problem.Detail, problem.Errors, problem.RequestID
		return e
	}
	e.Message, e.RequestID = http.StatusText(e.Status), response.Header.Get("X-Request-Id")
	if e.Message == "" {
		e.Message = "The answer is not one of Roster."
	}
	return e
}

// retryAfter reads a Retry-After header: seconds or a time. It is 0 for what is neither.
func retryAfter(header string, now time.Time) time.Duration {
	const longest = 24 * time.Hour
	if seconds, err := strconv.Atoi(header); err == nil {
		return time.Duration(min(max(seconds, 0), int(longest/time.Second))) * time.Second
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), longest)
}

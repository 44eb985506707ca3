package mailtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"strings"
)

// Message is a mail that was accepted.
type Message struct {
	From      string   // of the envelope
	To        []string // of the envelope
	Encrypted bool     // came over TLS
	Header    mail.Header
	Text      string // decoded, lines end with \n
	HTML      string // decoded, lines end with \n
	Raw       []byte // as it came
}

// Subject returns the decoded subject.
func (m Message) Subject() string {
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		return "undecodable: " + err.Error()
	}
	return subject
}

// parse reads a multipart/alternative of text and HTML.
func parse(raw []byte) (Message, error) {
	m := Message{Raw: raw}
	parsed, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return m, err
	}
	m.Header = parsed.Header
	mediaType, parameters, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		return m, err
	}
	if mediaType != "multipart/alternative" {
		return m, fmt.Errorf("the message is %s", mediaType)
	}
	for reader := multipart.NewReader(parsed.Body, parameters["boundary"]); ; {
		part, err := reader.NextPart() // undoes quoted-printable
		if errors.Is(err, io.EOF) {
			return m, nil
		}
		if err != nil {
			return m, err
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return m, err
		}
		text := strings.ReplaceAll(string(content), "\r\n", "\n")
		switch kind, _, _ := strings.Cut(part.Header.Get("Content-Type"), ";"); kind {
		case "text/plain":
			m.Text = text
		case "text/html":
			m.HTML = text
		default:
			return m, fmt.Errorf("a part is %s", kind)
		}
	}
}

package webhooksig_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/rosterhq/roster/pkg/webhooksig"
)

// receive returns a receiver of webhooks in either scheme. It verifies the body as it
// was received: decoding and encoding it again would change the signed bytes.
func receive(verifier webhooksig.Verifier) http.HandlerFunc {
	const maxBody = 1 << 20
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			http.Error(w, "unreadable body", http.StatusBadRequest)
			return
		}
		if r.Header.Get(webhooksig.HeaderBISignature) != "" {
			err = verifier.BI(r.Header, r.Method, r.URL.EscapedPath(), body)
		} else {
			err = verifier.Standard(r.Header, body)
		}
		if err != nil {
			http.Error(w, "not from Roster", http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusNoContent) // any 2xx: do not send it again
	}
}

func ExampleVerifier() {
	secret := webhooksig.NewSecret()
	receiver := receive(webhooksig.Verifier{Secrets: []string{secret}})
	body := []byte(`{"id":1,"type":"USER_CREATED"}`)
	post := func(sign func(http.Header) error, body []byte) {
		request := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/hooks/roster",
			bytes.NewReader(body))
		if err := sign(request.Header); err != nil {
			fmt.Println(err)
		}
		answer := httptest.NewRecorder()
		receiver(answer, request)
		fmt.Println(answer.Code)
	}

	standard := func(h http.Header) error {
		return webhooksig.SignStandard(h, "msg_1", time.Now(), body, secret)
	}
	bi := func(h http.Header) error {
		return webhooksig.SignBI(h, http.MethodPost, "/hooks/roster", time.Now(), body, secret)
	}
	post(standard, body)
	post(bi, body)
	post(standard, []byte(`{"id":2,"type":"USER_CREATED"}`))
	// Output:
	// 204
	// 204
	// 401
}

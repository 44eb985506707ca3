package api

import "net/url"

// Link returns the address of a path for a client: absolute where it is known
// where clients reach the service, else the path itself. The Host header, which
// the client chooses, is not to be believed.
func Link(publicURL *url.URL, path string) string {
	if publicURL == nil {
		return path
	}
	return publicURL.Scheme + "://" + publicURL.Host + path
}

package api

import "net/url"

// Link returns the address of a path for a client: absolute where the public URL is
// known, else the path itself. It does not use the Host header, which the client
// chooses.
func Link(publicURL *url.URL, path string) string {
	if publicURL == nil {
		return path
	}
	return publicURL.Scheme + "://" + publicURL.Host + path
}

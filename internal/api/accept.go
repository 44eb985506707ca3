package api

import (
	"mime"
	"strconv"
	"strings"
)

// Accepts reports whether an Accept header (RFC 9110 §12.5.1) accepts the media type,
// such as application/json. An empty header does, and so does one with a malformed
// part, because the header is only a preference.
func Accepts(header, mediaType string) bool {
	if strings.TrimSpace(header) == "" {
		return true
	}
	family, _, _ := strings.Cut(mediaType, "/")
	best, bestQuality := -1, 0.0 // the most specific range decides
	for part := range strings.SplitSeq(header, ",") {
		pattern, parameters, err := mime.ParseMediaType(part)
		if err != nil {
			return true
		}
		specificity := -1
		switch pattern {
		case mediaType:
			specificity = 2
		case family + "/*":
			specificity = 1
		case "*/*":
			specificity = 0
		}
		quality := 1.0
		if q, err := strconv.ParseFloat(parameters["q"], 64); err == nil {
			quality = q
		}
		if specificity > best || specificity == best && specificity >= 0 && quality > bestQuality {
			best, bestQuality = specificity, quality
		}
	}
	return best >= 0 && bestQuality > 0
}

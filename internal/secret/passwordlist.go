package secret

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // the list has SHA-1 hashes; Roster stores none
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/rosterhq/roster/internal/identity"
)

// PasswordList is a file of passwords to refuse. The first line decides which of two
// kinds it is:
//
//   - plain lines, one password each, compared in lower case. The file is loaded.
//   - the list of Have I Been Pwned ordered by hash (40 hexadecimal digits of SHA-1, a
//     colon and a count per line). It has tens of gigabytes, so it is searched on disk.
//
// Lines end in LF or CRLF. A PasswordList is safe for concurrent use.
type PasswordList struct {
	plain []string // sorted; nil for a list of hashes

	hashes io.ReaderAt
	size   int64 // bytes
	close  func() error
}

const (
	// maxPlainList is the maximum size of a plain list.
	maxPlainList = 64 << 20 // bytes
	// checkedHead is the size of the part of a list of hashes that is checked when it is opened.
	checkedHead = 64 << 10 // bytes
	hashDigits  = 2 * sha1.Size
	// maxHashLine is longer than any line of hashes.
	maxHashLine = 128 // bytes
)

// OpenPasswordList opens the list in a file. It fails when the file is missing,
// unreadable, empty, too large to load, or of neither kind. The error does not have
// the name of the file.
func OpenPasswordList(path string) (*PasswordList, error) {
	// Check before opening: opening a pipe blocks until another process writes to it.
	switch info, err := os.Stat(path); {
	case err != nil:
		return nil, withoutPath(err)
	case !info.Mode().IsRegular():
		return nil, errors.New("is not a file")
	}
	file, err := os.Open(path) //nolint:gosec // the operator chooses the file
	if err != nil {
		return nil, withoutPath(err)
	}
	info, err := file.Stat()
	if err == nil {
		var list *PasswordList
		if list, err = newPasswordList(file, info.Size()); err == nil && list.hashes != nil {
			list.close = file.Close
			return list, nil
		}
		if err == nil {
			return list, file.Close()
		}
	}
	return nil, errors.Join(withoutPath(err), file.Close())
}

// withoutPath removes the operation and the path from the error of a file.
func withoutPath(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

func newPasswordList(file io.ReaderAt, size int64) (*PasswordList, error) {
	head := make([]byte, min(size, checkedHead))
	if _, err := file.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	first, _, _ := bytes.Cut(head, []byte("\n"))
	switch {
	case len(bytes.TrimSpace(head)) == 0:
		return nil, errors.New("is empty")
	case isHashLine(trimLine(first)):
		return newHashList(file, size, head)
	case size > maxPlainList:
		return nil, fmt.Errorf("has more than %d MiB of plain lines; "+
			"only a list of SHA-1 hashes, ordered by hash, may be larger", maxPlainList>>20)
	}
	content := make([]byte, size)
	if _, err := file.ReadAt(content, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return newPlainList(content)
}

func newPlainList(content []byte) (*PasswordList, error) {
	text := strings.ToLower(string(bytes.TrimPrefix(content, []byte("\ufeff"))))
	list := &PasswordList{plain: make([]string, 0, strings.Count(text, "\n")+1)}
	number := 0
	for line := range strings.SplitSeq(text, "\n") {
		number++
		line = strings.TrimSuffix(line, "\r")
		if isHashLine([]byte(line)) {
			return nil, fmt.Errorf("has plain lines and, in line %d, a SHA-1 hash; it must have one kind", number)
		}
		if line != "" {
			list.plain = append(list.plain, line)
		}
	}
	slices.Sort(list.plain)
	return list, nil
}

// newHashList checks the first lines of a list of hashes, in head, and the last one.
func newHashList(file io.ReaderAt, size int64, head []byte) (*PasswordList, error) {
	if int64(len(head)) < size { // the last line of head may be incomplete
		head = head[:bytes.LastIndexByte(head, '\n')+1]
	}
	before := ""
	number := 0
	for line := range bytes.Lines(head) {
		number++
		if line = trimLine(line); !isHashLine(line) {
			return nil, fmt.Errorf("has SHA-1 hashes and, in line %d, something else", number)
		}
		hash := strings.ToUpper(string(line[:hashDigits]))
		if hash <= before {
			return nil, fmt.Errorf("is not ordered by hash: see line %d", number)
		}
		before = hash
	}
	list := &PasswordList{hashes: file, size: size}
	last, _, err := list.lineAround(size - 1)
	if err != nil {
		return nil, err
	}
	if last.hash < before {
		return nil, errors.New("is not ordered by hash: see the last line")
	}
	return list, nil
}

func trimLine(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}

// isHashLine reports whether a line has a SHA-1 hash and a count.
func isHashLine(line []byte) bool {
	if len(line) < hashDigits+len(":0") || len(line) > maxHashLine-len("\r\n") || line[hashDigits] != ':' {
		return false
	}
	if _, err := hex.Decode(make([]byte, sha1.Size), line[:hashDigits]); err != nil {
		return false
	}
	return !bytes.ContainsFunc(line[hashDigits+1:], func(r rune) bool { return r < '0' || r > '9' })
}

// Contains reports whether a password is on the list. It fails when the file cannot be
// read or has changed since it was opened.
func (l *PasswordList) Contains(password identity.Password) (bool, error) {
	if l.hashes == nil {
		_, found := slices.BinarySearch(l.plain, strings.ToLower(string(password)))
		return found, nil
	}
	sum := sha1.Sum([]byte(password)) //nolint:gosec // as in the list
	return l.containsHash(strings.ToUpper(hex.EncodeToString(sum[:])))
}

// containsHash does a binary search over the lines. low and high are positions: the
// line begins at low or after it, and before high.
func (l *PasswordList) containsHash(hash string) (bool, error) {
	for low, high := int64(0), l.size; low < high; {
		line, next, err := l.lineAround(low + (high-low)/2)
		switch {
		case err != nil:
			return false, err
		case line.hash == hash:
			return true, nil
		case line.hash < hash:
			low = next
		default:
			high = line.start
		}
	}
	return false, nil
}

// hashLine is a line of a list of hashes.
type hashLine struct {
	start int64  // position in the file
	hash  string // in upper case
}

// lineAround returns the line at a position of the file, and the start of the next one.
func (l *PasswordList) lineAround(position int64) (line hashLine, next int64, err error) {
	from := max(0, position-maxHashLine)
	around := make([]byte, min(l.size-from, 2*maxHashLine))
	if n, err := l.hashes.ReadAt(around, from); n < len(around) {
		return hashLine{}, 0, fmt.Errorf("reading the list of passwords: %w", err)
	}
	at := int(position - from)
	start := bytes.LastIndexByte(around[:at], '\n') + 1 // 0 at the start of the file; elsewhere it is no whole line
	length := len(around) - start
	if end := bytes.IndexByte(around[at:], '\n'); end >= 0 {
		length = at + end + 1 - start
	}
	text := trimLine(around[start : start+length])
	if !isHashLine(text) {
		return hashLine{}, 0, fmt.Errorf("the list of passwords has no hash at %d", from+int64(start))
	}
	line = hashLine{start: from + int64(start), hash: strings.ToUpper(string(text[:hashDigits]))}
	return line, line.start + int64(length), nil
}

// Close closes the file of the list, if it is open. The list may be nil.
func (l *PasswordList) Close() error {
	if l == nil || l.close == nil {
		return nil
	}
	return l.close()
}

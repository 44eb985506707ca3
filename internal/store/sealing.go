package store

import "context"

// SecretKey returns the key that this database was made with.
func (r reader) SecretKey(ctx context.Context) (string, error) {
	var key string
	err := r.get(ctx, &key, "SELECT key FROM secret_keys")
	return key, err
}

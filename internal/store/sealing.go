package store

import "context"

// SecretKey returns the secret key that was created with this database.
func (r reader) SecretKey(ctx context.Context) (string, error) {
	var key string
	err := r.get(ctx, &key, "SELECT key FROM secret_keys")
	return key, err
}

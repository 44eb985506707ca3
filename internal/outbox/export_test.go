package outbox

import "time"

func init() { renewInterval = 10 * time.Millisecond }

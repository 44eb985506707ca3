package outbox

import "time"

// SetRenewInterval sets how often the worker renews a claim.
func (w *Worker) SetRenewInterval(d time.Duration) { w.renewInterval = d }

package delivery

import (
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for _, chance := range []float64{0, 0.5, 1} {
		var total time.Duration
		attempts, last := 0, time.Duration(0)
		for {
			wait, again := RetryAfter(attempts+1, chance)
			if !again {
				break
			}
			if attempts++; wait < last || wait < 4*time.Second {
				t.Errorf("attempt %d: %v after %v", attempts, wait, last)
			}
			total, last = total+wait, wait
		}
		if days := total.Hours() / 24; days < 2.3 || days > 3.7 || attempts < 10 {
			t.Errorf("chance %v: %d attempts in %v", chance, attempts, total)
		}
	}
	if wait, _ := RetryAfter(1, 0.5); wait != 5*time.Second {
		t.Errorf("%v", wait)
	}
}

func TestDestinations(t *testing.T) {
	t.Parallel()
	for to, want := range map[Destination]string{ToMail(): "mail", ToWebhook(7): "webhook/7"} {
		if got := to.String(); got != want {
			t.Errorf("%+v: %s, want %s", to, got, want)
		}
	}
}

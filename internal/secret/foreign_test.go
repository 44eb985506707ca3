package secret

import (
	"slices"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/identity"
)

// foreign are hashes of MySecret123 that other programs have made: passlib, Django, argon2-cffi,
// and Python's hashlib for what Keycloak stores. The last ones, of other passwords, are from the
// tests of Ory Kratos, the README of firebase/scrypt and the text of SHA-crypt.
var foreign = []struct {
	hash     string
	password identity.Password
}{
	{"$2b$06$mJZxk/6q4Zyel2bKjubHLeb.zonpvlSfeJzGS8x2BTLEAx9HDgG0.", "MySecret123"},
	{"$2y$06$mJZxk/6q4Zyel2bKjubHLeb.zonpvlSfeJzGS8x2BTLEAx9HDgG0.", "MySecret123"},
	{"bcrypt$$2b$05$1ew38sT08zSRCOuK2p3xmOv2SjPCABokuumOtTTYX5QcMu7/Wd0wW", "MySecret123"},
	{"$argon2id$v=19$m=1024,t=2,p=4$fG+NUYqxllIqxdibc27NOQ$nbtcUksnmhk1cUdpxFsf8A", "MySecret123"},
	{"$argon2i$v=19$m=1024,t=3,p=1$9J5TijEmhNCa815LiVEKYQ$FQRU5FE3SmoUvPVyUABiHg", "MySecret123"},
	{"argon2$argon2id$v=19$m=1024,t=2,p=2$c2Vhc2FsdDJ0YXN0eTR1$JT0otIU8Ij2Ry4O3yn+wCQ", "MySecret123"},
	{"$scrypt$ln=10,r=8,p=2$1rrXmnOuNUZIKUVobU3JGQ$U/63a+Orq0bH056Jz2TB/EhLtM1mpVRaxvAfjM+ItN0", "MySecret123"},
	{"$pbkdf2-sha256$1000$hbA2xniPMeY8h7A2Zuzdew$o4EWLfcm9bu5W4hnGwLcA4Li3OVrk2cloZqUwEMSFRo", "MySecret123"},
	{
		"$pbkdf2-sha512$1000$b42xNgaAkFKKMcaYk7I2Bg$" +
			"7aCbdOlaxkQIguxKlns/okxO4vsPL8DLsgn9gacf2h5oHZKve1h6Th0Y0.Dwu2XZp8FzWvKOxTC14f9Mx9qMKg", "MySecret123",
	},
	{"$pbkdf2$1000$izEmZEzJ2ds7J.Q8x3jvnQ$COrWgVCn4p3qN9.vVkhXIsKzNnU", "MySecret123"},
	{
		"$pbkdf2-sha256$27500$MDEyMzQ1Njc4OWFiY2RlZg==$" +
			"BCu7qyoHjQMYKub7KjMX5okLhkAdP1LuLA1CAVpLRiNC9s9B8sfMLfZcuZuHyKo8zrtBiNqxG8yiCwjI6QpL/g==", "MySecret123",
	},
	{"pbkdf2_sha256$1000$seasalt2tasty4u$TdaHPAG76T+S02YYrZouCSxT5DSrhMgf0a5EGhqK5ok=", "MySecret123"},
	{"pbkdf2_sha1$1000$seasalt$HBqurgxRWq6EH6A74JVpbZ3jR1Y=", "MySecret123"},
	{"$5$bePmZQAlWFFW6.gC$RRMYXVB2r1g6umYvRR/B7lKuiLH5ynp2g/4HQxZpHp3", "MySecret123"},
	{"$5$rounds=1500$KoWwSKOvMuAWWlBZ$JguWnUunNMRIMFRaQO6JsYdzhKTEsrnSrdwPyReaqiC", "MySecret123"},
	{
		"$6$PHQosGRp4SoTwfuD$" +
			"4NcTO5uc0kc/It29dOaYb9F0Ms02RbzTAuCpTNK2egpE/B0WZ/Wd07MxcUBxp5IdqXDPMWUoL5Nxx4Xu13y/k1", "MySecret123",
	},
	{
		"$6$rounds=1500$ab$" +
			"7CObiFFy5vNsqGBUtKJAq12NYJ5yLkdjPmVDosk3bGZm2WdWwxzkc4kCFVghpnQ/2y9U2fNrRPjFYkXWrCi3t/", "MySecret123",
	},
	{
		"$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA", "Hello world!",
	},
	{"$argon2id$v=19$m=32,t=2,p=4$cm94YnRVOW5jZzFzcVE4bQ$MNzk5BtR2vUhrp6qQEjRNw", "test"},
	{
		"$pbkdf2-sha256$i=100000,l=32$1jP+5Zxpxgtee/iPxGgOz0RfE9/KJuDElP1ley4VxXc$QJxzfvdbHYBpydCbHoFg3GJEqMFULwskiuqiJctoYpI",
		"test",
	},
	{"$scrypt$ln=16384,r=8,p=1$2npRo7P03Mt8keSoMbyD/tKFWyUzjiQf2svUaNDSrhA=$MiCzNcIplSMqSBrm4HckjYqYhaVPPjTARTzwB1cVNYE=", "test"},
	{
		"$firescrypt$ln=14,r=8,p=1$sPtDhWcd1MfdAw==$" +
			"xbSou7FOl6mChCyzpCPIQ7tku7nsQMTFtyOZSXXd7tjBa4NtimOx7v42Gv2SfzPQu1oxM2/k4SsbOu73wlKe1A==$Bw==$" +
			"YE0dO4bwD4JnJafh6lZZfkp1MtKzuKAXQcDCJNJNyeCHairWHKENOkbh3dzwaCdizzOspwr/FITUVlnOAwPKyw==", "8x4WjoDbSxJZdR",
	},
	{
		"$firescrypt$ln=14,r=8,p=1$42xEC+ixf3L2lw==$" +
			"lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==$Bw==$" +
			"jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==", "user1password",
	},
}

func TestForeignHashes(t *testing.T) {
	t.Parallel()
	p := NewPasswords(MinCost, 2)
	for _, f := range foreign {
		for attempt, want := range map[identity.Password]bool{
			f.password: true, f.password + "x": false, "": false, f.password[1:]: false,
			f.password + identity.Password(strings.Repeat("x", 72)): false,
		} {
			if got, err := p.Matches(t.Context(), "caller", f.hash, attempt, nil); got != want || err != nil {
				t.Errorf("%.30s: %q: %v, %v", f.hash, string(attempt), got, err)
			}
		}
		if !p.Outdated(f.hash) {
			t.Errorf("%.30s is as a new hash", f.hash)
		}
		// A bit of the digest is another one.
		at := len(f.hash) - 6
		other := f.hash[:at] + string(f.hash[at]^1) + f.hash[at+1:]
		if got, err := p.Matches(t.Context(), "caller", other, f.password, nil); got || err != nil {
			t.Errorf("%.30s, another digest: %v, %v", f.hash, got, err)
		}
	}
}

// TestRefusalsDoTheSame checks that a wrong password costs the same work whatever is stored, by
// counting it.
func TestRefusalsDoTheSame(t *testing.T) {
	t.Parallel()
	const cost, fast = MinCost + 1, 500 // rounds; the others would only take longer
	decoys := []string{identity.BcryptDecoy(cost)}
	stored := []string{
		"", "nonsense", identity.BcryptDecoy(cost - 1), identity.BcryptDecoy(cost),
		"$argon2id$v=19$m=67108864,t=1,p=1$fG+NUYqxllIqxdibc27NOQ$nbtcUksnmhk1cUdpxFsf8A", // 64 GiB, from elsewhere
	}
	want := int64(1 << cost)
	for _, f := range foreign {
		h, err := identity.ParsePasswordHash(f.hash)
		if err != nil {
			t.Fatal(err)
		}
		decoy := identity.DecoyOf(f.hash)
		if decoy == "" || h.Work() > fast {
			continue
		}
		stored = append(stored, f.hash)
		if !slices.Contains(decoys, decoy) {
			decoys = append(decoys, decoy)
			want += h.Work()
		}
	}
	if len(decoys) < 8 {
		t.Fatalf("only %d decoys", len(decoys))
	}
	for _, hash := range stored {
		for _, password := range []identity.Password{"WrongSecret1", "", identity.Password(strings.Repeat("x", 100))} {
			wantRounds(t, NewPasswords(cost, 1), hash, password, decoys, want)
		}
	}
	// A hash of bcrypt that costs more than new ones is as any other kind.
	dearer := []string{identity.BcryptDecoy(11)}
	for _, hash := range []string{"", dearer[0]} {
		wantRounds(t, NewPasswords(cost, 1), hash, "WrongSecret1", dearer, 1<<cost+1<<11)
	}
}

// wantRounds checks that a password is refused with this work.
func wantRounds(t *testing.T, p *Passwords, hash string, password identity.Password, decoys []string, want int64) {
	t.Helper()
	if matches, err := p.Matches(t.Context(), "caller", hash, password, decoys); matches || err != nil {
		t.Fatalf("%.30s: %v, %v", hash, matches, err)
	}
	if got := p.Rounds(); got != want {
		t.Errorf("%.30s, %d bytes: %d rounds, want %d", hash, len(password), got, want)
	}
}

// TestDecoysAreBounded checks that the hashes in use cannot make refusals arbitrarily long.
func TestDecoysAreBounded(t *testing.T) {
	t.Parallel()
	p := NewPasswords(12, 1)
	for _, test := range []struct {
		decoys []string
		want   bool
	}{
		{nil, true},
		{[]string{identity.BcryptDecoy(14)}, true},
		{[]string{identity.BcryptDecoy(14), identity.BcryptDecoy(13)}, true},
		{[]string{identity.BcryptDecoy(14), identity.BcryptDecoy(13), identity.BcryptDecoy(12), identity.BcryptDecoy(11)}, true},
		{[]string{identity.BcryptDecoy(14), identity.BcryptDecoy(15)}, false},
	} {
		if err := p.CheckDecoys(test.decoys); (err == nil) != test.want {
			t.Errorf("%v: %v", test.decoys, err)
		}
	}
}

// TestMemoryIsBounded checks that few hashes that take memory are compared at once, though there
// are slots for many.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	p := NewPasswords(MinCost, 16)
	for range cap(p.memory) {
		p.memory <- struct{}{}
	}
	done := make(chan bool)
	go func() {
		matches, err := p.Matches(t.Context(), "caller", foreign[3].hash, foreign[3].password, nil)
		done <- matches && err == nil
	}()
	if matches, err := p.Matches(t.Context(), "caller", foreign[0].hash, foreign[0].password, nil); !matches || err != nil {
		t.Errorf("bcrypt waits for memory: %v, %v", matches, err)
	}
	select {
	case <-done:
		t.Error("a third hash takes memory")
	default:
	}
	<-p.memory
	if !<-done {
		t.Error("it does not match after it has waited")
	}
}

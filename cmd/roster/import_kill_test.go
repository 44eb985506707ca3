package main

import (
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/store/storetest"
	"github.com/rosterhq/roster/pkg/client"
)

// oldHashes are hashes of other systems, one per kind, with the password of each.
var oldHashes = [][2]string{
	{"$2b$06$mJZxk/6q4Zyel2bKjubHLeb.zonpvlSfeJzGS8x2BTLEAx9HDgG0.", "MySecret123"},
	{"bcrypt$$2b$05$1ew38sT08zSRCOuK2p3xmOv2SjPCABokuumOtTTYX5QcMu7/Wd0wW", "MySecret123"},
	{"$argon2id$v=19$m=1024,t=2,p=4$fG+NUYqxllIqxdibc27NOQ$nbtcUksnmhk1cUdpxFsf8A", "MySecret123"},
	{"argon2$argon2id$v=19$m=1024,t=2,p=2$c2Vhc2FsdDJ0YXN0eTR1$JT0otIU8Ij2Ry4O3yn+wCQ", "MySecret123"},
	{"$scrypt$ln=10,r=8,p=2$1rrXmnOuNUZIKUVobU3JGQ$U/63a+Orq0bH056Jz2TB/EhLtM1mpVRaxvAfjM+ItN0", "MySecret123"},
	{"$pbkdf2-sha256$1000$hbA2xniPMeY8h7A2Zuzdew$o4EWLfcm9bu5W4hnGwLcA4Li3OVrk2cloZqUwEMSFRo", "MySecret123"},
	{"pbkdf2_sha256$1000$seasalt2tasty4u$TdaHPAG76T+S02YYrZouCSxT5DSrhMgf0a5EGhqK5ok=", "MySecret123"},
	{"$5$bePmZQAlWFFW6.gC$RRMYXVB2r1g6umYvRR/B7lKuiLH5ynp2g/4HQxZpHp3", "MySecret123"},
	{"$6$PHQosGRp4SoTwfuD$" +
		"4NcTO5uc0kc/It29dOaYb9F0Ms02RbzTAuCpTNK2egpE/B0WZ/Wd07MxcUBxp5IdqXDPMWUoL5Nxx4Xu13y/k1", "MySecret123"},
	{"$firescrypt$ln=14,r=8,p=1$sPtDhWcd1MfdAw==$" +
		"xbSou7FOl6mChCyzpCPIQ7tku7nsQMTFtyOZSXXd7tjBa4NtimOx7v42Gv2SfzPQu1oxM2/k4SsbOu73wlKe1A==$Bw==$" +
		"YE0dO4bwD4JnJafh6lZZfkp1MtKzuKAXQcDCJNJNyeCHairWHKENOkbh3dzwaCdizzOspwr/FITUVlnOAwPKyw==", "8x4WjoDbSxJZdR"},
}

// TestImportSurvivesKills kills the command while it sends rows, and the service while it imports them. In the end there is
// each user once, and a user of each kind of hash signs in with the old password.
func TestImportSurvivesKills(t *testing.T) {
	t.Parallel()
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			const rows = 5_000
			r := &remote{t: t, folder: t.TempDir()}
			env := []string{"DATABASE_URL=" + storetest.EmptyURL(t, engine), "ROSTER_ADMIN_TOKEN=" + strings.Repeat("1", 32)}
			var file strings.Builder
			file.WriteString("email,name,passwordHash\n")
			for i := range rows {
				fmt.Fprintf(&file, "user%d@example.com,User %[1]d,\"%s\"\n", i, oldHashes[i%len(oldHashes)][0])
			}
			r.file("people.csv", file.String())
			service := start(t, r.folder, env...)
			r.env = []string{"ROSTER_URL=" + service.base, "ROSTER_TOKEN=" + strings.Repeat("1", 32)}
			job := func(wanted func(client.Job) bool) {
				t.Helper()
				waitForJob(t, service.base, wanted)
			}
			begin := func(args ...string) *exec.Cmd {
				t.Helper()
				command := roster(t, r.folder, r.env, append([]string{"users", "import", "people.csv", "--yes"}, args...)...)
				if err := command.Start(); err != nil {
					t.Fatal(err)
				}
				return command
			}

			command := begin()
			job(func(j client.Job) bool { return j.Total > 0 })
			_ = command.Process.Kill()
			_ = command.Wait()

			command = begin("--resume", "1")
			job(func(j client.Job) bool { return j.State == "running" && j.Done > 0 })
			_ = service.Process.Kill()
			_ = service.Wait()
			_ = command.Wait()
			if command.ProcessState.ExitCode() != 8 {
				t.Errorf("the command ends with %d", command.ProcessState.ExitCode())
			}

			service = start(t, r.folder, env...)
			r.env[0] = "ROSTER_URL=" + service.base
			r.want(0, fmt.Sprintf("%d rows: %[1]d done", rows), "users", "import", "people.csv", "--yes", "--resume", "1")
			if ids := r.want(0, "", "users", "list", "-o", "name"); strings.Count(ids, "\n") != rows {
				t.Errorf("%d users", strings.Count(ids, "\n"))
			}
			for i, old := range oldHashes {
				code, answer := post(t, service.base+"/api/v2/signin", "",
					object{"email": fmt.Sprintf("user%d@example.com", i), "password": old[1]})
				if code != http.StatusOK {
					t.Errorf("%s: %d %v", old[0], code, answer)
				}
			}
			service.stop(t)
		})
	}
}

// waitForJob asks for the first job until it is as wanted.
func waitForJob(t *testing.T, server string, wanted func(client.Job) bool) {
	t.Helper()
	c, err := client.New(server, client.Token(strings.Repeat("1", 32)))
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); { // each call takes a while
		if job, err := c.Jobs.Get(t.Context(), 1); err == nil && wanted(job) {
			return
		}
	}
	t.Fatal("the job does not come there")
}

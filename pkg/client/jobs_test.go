package client_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/pkg/client"
)

func TestJobs(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		a := s.CreateUser("a@example.com")
		s.CreateUser("b@example.com", map[string]any{"active": false})
		c, ctx, now := of(t, s.URL, apitest.AdminToken), t.Context(), s.Clock.Now()
		// Times may have fractions and zones.
		later := now.Add(time.Hour + time.Millisecond).In(time.FixedZone("", 3600))
		job, err := c.Jobs.Plan(ctx, client.JobPlan{Action: "deactivate", Filter: &client.JobFilter{
			Name: "Mary", Query: "example", Status: "active", Active: 1, TFA: new(false), Locked: new(false),
			LastSigninBefore: later, CreatedAfter: now, CreatedBefore: later,
		}})
		if err != nil || job.State != "planned" || job.Total != 1 || !job.StartTime.IsZero() {
			t.Fatalf("%+v, %v", job, err)
		}
		if _, err := c.Jobs.Start(ctx, job.ID); err != nil {
			t.Fatal(err)
		}
		s.RunJobs()
		job, err = c.Jobs.Get(ctx, job.ID)
		if err != nil || job.State != "finished" || job.Done != 1 || !job.FinishTime.Equal(now) {
			t.Errorf("%+v, %v", job, err)
		}
		items, err := client.Collect(c.Jobs.Items(ctx, job.ID, client.JobItemList{State: "done"}))
		if err != nil || len(items) != 1 || items[0] != (client.JobItem{UserID: a, State: "done"}) {
			t.Errorf("%+v, %v", items, err)
		}
		if user, err := c.Users.Get(ctx, a); err != nil || user.Active {
			t.Errorf("%+v, %v", user, err)
		}

		group := s.CreateGroup("Support")
		second, err := c.Jobs.Plan(ctx, client.JobPlan{Action: "add_to_group", GroupID: group, UserIDs: []int64{a}})
		if err != nil || second.GroupID != group {
			t.Fatalf("%+v, %v", second, err)
		}
		if second, err = c.Jobs.Cancel(ctx, second.ID); err != nil || second.State != "cancelled" {
			t.Errorf("%+v, %v", second, err)
		}
		_, err = c.Jobs.Start(ctx, second.ID)
		wantCode(t, err, http.StatusConflict, "job_ended")
		all, err := client.Collect(c.Jobs.List(ctx, client.Page{Size: 1}))
		if err != nil || len(all) != 2 || all[0].ID != second.ID || all[1].ID != job.ID {
			t.Errorf("%+v, %v", all, err)
		}
	})
}

func TestOutbox(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c, ctx := of(t, s.URL, apitest.AdminToken), t.Context()
		hook, err := c.Webhooks.Create(ctx, client.WebhookCreate{
			URL: "https://receiver.invalid", Events: []string{"USER_CREATED"}, Format: "v2",
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Webhooks.Rotate(ctx, hook.ID, client.IfVersion(hook.Version+1))
		wantStatus(t, err, http.StatusPreconditionFailed)
		if _, err := c.Webhooks.Test(ctx, hook.ID); err != nil {
			t.Fatal(err)
		}
		counts, err := c.Outbox.Counts(ctx)
		want := client.MessageCount{
			Kind: "webhook", WebhookID: hook.ID, State: "pending", Count: 1, OldestCreateTime: s.Clock.Now(),
		}
		if err != nil || len(counts) != 1 || !counts[0].OldestCreateTime.Equal(want.OldestCreateTime) {
			t.Fatalf("%+v, %v", counts, err)
		}
		counts[0].OldestCreateTime = want.OldestCreateTime
		if counts[0] != want {
			t.Errorf("got %+v, want %+v", counts[0], want)
		}
		if n, err := c.Outbox.RetryDead(ctx, client.Messages{Kind: "webhook"}); err != nil || n != 0 {
			t.Errorf("%d, %v", n, err)
		}
		mails, err := client.Collect(c.Outbox.List(ctx, client.DeliveryList{Only: client.Messages{Kind: "mail"}}))
		if err != nil || len(mails) != 0 {
			t.Errorf("%+v, %v", mails, err)
		}
	})
}

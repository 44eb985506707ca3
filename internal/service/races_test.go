package service_test

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
)

func TestOneOfManyCreatesWins(t *testing.T) {
	t.Parallel()
	apitest.EachPair(t, func(t *testing.T, s [2]*apitest.Server) {
		for round := range 10 {
			body := apitest.NewUser(fmt.Sprintf("u%d@example.com", round))
			got := apitest.Together(8, func(i int) *apitest.Answer {
				return s[i%2].Do(http.MethodPost, apitest.UsersPath, body)
			})
			if got[http.StatusCreated] != 1 || got[http.StatusConflict] != 7 {
				t.Errorf("round %d: %v", round, got)
			}
		}
		if total := s[0].Do(http.MethodGet, apitest.UsersPath, nil).Object()["total"]; total != 10.0 {
			t.Errorf("%v users", total)
		}
	})
}

func TestOneOfManyRepetitionsCreates(t *testing.T) {
	t.Parallel()
	apitest.EachPair(t, func(t *testing.T, s [2]*apitest.Server) {
		for round := range 10 {
			body := apitest.NewUser(fmt.Sprintf("u%d@example.com", round))
			key := apitest.Header("Idempotency-Key", strconv.Itoa(round))
			var ids sync.Map
			got := apitest.Together(8, func(i int) *apitest.Answer {
				answer := s[i%2].Do(http.MethodPost, apitest.UsersPath, body, key)
				ids.Store(string(answer.Body), true)
				return answer
			})
			bodies := 0
			ids.Range(func(any, any) bool { bodies++; return true })
			if got[http.StatusCreated] != 8 || bodies != 1 {
				t.Errorf("round %d: %v, %d different answers", round, got, bodies)
			}
		}
		if total := s[0].Do(http.MethodGet, apitest.UsersPath, nil).Object()["total"]; total != 10.0 {
			t.Errorf("%v users", total)
		}
	})
}

// TestAdministratorsCannotBothGo checks that two administrators who leave at once do not leave none.
func TestAdministratorsCannotBothGo(t *testing.T) {
	t.Parallel()
	apitest.EachPair(t, func(t *testing.T, s [2]*apitest.Server) {
		for round := range 10 {
			var ids [2]int64
			var as [2]apitest.Option
			for i := range ids {
				ids[i] = s[i].CreateUser(fmt.Sprintf("admin%d-%d@example.com", round, i),
					changes{"groups": []int{1}, "canViewMaskedData": true})
				as[i] = apitest.As(s[i].CreateToken(ids[i], apitest.AllPermissions()))
			}
			got := apitest.Together(2, func(i int) *apitest.Answer {
				switch round % 3 {
				case 0:
					return s[i].Do(http.MethodDelete, apitest.UsersPath+"/me", nil, as[i])
				case 1:
					return s[i].Do(http.MethodPatch, apitest.UsersPath+"/me", changes{"active": false}, as[i])
				}
				return s[i].Do(http.MethodPatch, apitest.UsersPath+"/me", changes{"groups": []int{}}, as[i])
			})
			if got[http.StatusConflict] != 1 {
				t.Errorf("round %d: %v", round, got)
			}
			for _, id := range ids {
				s[0].Do(http.MethodDelete, apitest.UserPath(id), nil)
			}
		}
	})
}

// TestConditionalUpdatesAreNotLost checks that one of several updates of the same version succeeds,
// and that all unconditional updates count.
func TestConditionalUpdatesAreNotLost(t *testing.T) {
	t.Parallel()
	apitest.EachPair(t, func(t *testing.T, s [2]*apitest.Server) {
		path := apitest.UserPath(s[0].CreateUser("a@example.com"))
		for version := 1; version <= 10; version++ {
			match := apitest.Header("If-Match", fmt.Sprintf(`"%d"`, version))
			got := apitest.Together(6, func(i int) *apitest.Answer {
				return s[i%2].Do(http.MethodPatch, path, changes{"name": fmt.Sprintf("V%d by %d", version, i)}, match)
			})
			if got[http.StatusOK] != 1 || got[http.StatusPreconditionFailed] != 5 {
				t.Errorf("version %d: %v", version, got)
			}
		}
		got := apitest.Together(20, func(i int) *apitest.Answer {
			return s[i%2].Do(http.MethodPatch, path, changes{"name": fmt.Sprintf("N%d", i)})
		})
		if version := s[0].Do(http.MethodGet, path, nil).Object()["version"]; got[http.StatusOK] != 20 ||
			version != 31.0 {
			t.Errorf("%v, version %v", got, version)
		}
	})
}

// TestTotalsUnderConcurrency checks that the counts per block are right after simultaneous creations,
// deletions and changes.
func TestTotalsUnderConcurrency(t *testing.T) {
	t.Parallel()
	apitest.EachPair(t, func(t *testing.T, s [2]*apitest.Server) {
		// no more than can be hashed in time on a busy machine
		got := apitest.Together(24, func(i int) *apitest.Answer {
			id := s[i%2].CreateUser(fmt.Sprintf("u%d@example.com", i))
			switch i % 3 {
			case 0:
				return s[i%2].Do(http.MethodDelete, apitest.UserPath(id), nil)
			case 1:
				return s[i%2].Do(http.MethodPatch, apitest.UserPath(id), changes{"active": false})
			}
			return s[i%2].Do(http.MethodPatch, apitest.UserPath(id), changes{"active": false, "groups": []int{1}})
		})
		if got[http.StatusNoContent] != 8 || got[http.StatusOK] != 16 {
			t.Fatalf("%v", got)
		}
		for query, want := range map[string]float64{
			"": 16, "?filter[active]=1": 0, "?filter[status]=inactive": 16,
			"?filter[group]=1": 8,
		} {
			if total := s[1].Do(http.MethodGet, apitest.UsersPath+query, nil).Object()["total"]; total != want {
				t.Errorf("%s: %v, want %v", query, total, want)
			}
		}
	})
}

// TestGroupCannotVanishUnderItsMembers checks that a group is either deleted or joined, not both.
func TestGroupCannotVanishUnderItsMembers(t *testing.T) {
	t.Parallel()
	apitest.EachPair(t, func(t *testing.T, s [2]*apitest.Server) {
		for round := range 10 {
			group := s[0].CreateGroup(fmt.Sprint("Group ", round))
			got := apitest.Together(2, func(i int) *apitest.Answer {
				if i == 0 {
					return s[i].Do(http.MethodDelete, fmt.Sprintf("%s/%d", apitest.GroupsPath, group), nil)
				}
				return s[i].Do(http.MethodPost, apitest.UsersPath,
					apitest.NewUser(fmt.Sprintf("u%d@example.com", round), changes{"groups": []int64{group}}))
			})
			deletedFirst := got[http.StatusNoContent] == 1 && got[http.StatusBadRequest] == 1
			joinedFirst := got[http.StatusConflict] == 1 && got[http.StatusCreated] == 1
			if !deletedFirst && !joinedFirst {
				t.Errorf("round %d: %v", round, got)
			}
		}
	})
}

// TestOneOfManyPutsCreates checks that simultaneous calls for one record create it once.
func TestOneOfManyPutsCreates(t *testing.T) {
	t.Parallel()
	apitest.EachPair(t, func(t *testing.T, s [2]*apitest.Server) {
		records := apitest.UserPath(s[0].CreateUser("a@example.com")) + "/records/accounts/"
		for round := range 5 {
			got := apitest.Together(8, func(i int) *apitest.Answer {
				return s[i%2].Do(http.MethodPut, records+fmt.Sprint(round), changes{"attributes": changes{"by": i}})
			})
			if got[http.StatusCreated] != 1 || got[http.StatusOK] != 7 {
				t.Errorf("round %d: %v", round, got)
			}
		}
	})
}

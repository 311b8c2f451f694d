package evidence_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/sqldb"
)

// Random histories of every kind, committed to real records: the states and lists there are what their events make of them anew, read back
// as they were stored. Which history failed, rapid says. After some, only those are committed that bring a kind that was not seen yet.
func TestRandomHistoriesReplayed(t *testing.T) {
	always := 10
	if os.Getenv("STRONGROOM_LONG") != "" {
		always = 500
	}
	key, err := custody.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	kinds, played := map[ev.Kind]int{}, 0
	for range 16 {
		rapid.Check(t, func(rt *rapid.T) {
			list, founders := ev.RandomHistory(rt)
			fresh := slices.ContainsFunc(list, func(a ev.Accepted) bool { return kinds[a.Event.Kind] == 0 })
			if played >= always && !fresh {
				return
			}
			for k, n := range replayed(rt, key, list, founders) {
				kinds[k] += n
			}
			played++
		})
		if len(kinds) == len(ev.Kinds()) && played >= always {
			break
		}
	}
	for _, k := range ev.Kinds() {
		if kinds[k] == 0 {
			t.Errorf("no history with %s was committed", k)
		}
	}
	t.Logf("%d histories, %d kinds: %v", played, len(kinds), kinds)
}

// replayed commits the history, makes states and lists anew from what is stored, and compares both. It counts what was committed.
func replayed(t *rapid.T, key *custody.Key, list []ev.Accepted, founders []ev.Founder) map[ev.Kind]int {
	dir, err := os.MkdirTemp("", "replay")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	open := func(name string) *sqldb.DB {
		db, err := sqldb.Create(t.Context(), filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	live, anew := open("live.db"), open("anew.db")
	defer live.Close()
	defer anew.Close()
	committed := commit(t, live, key, list, founders)

	stored, err := live.Events(t.Context(), 0, len(list)+1)
	if err != nil {
		t.Fatal(err)
	}
	facts := ev.Facts{Origin: list[0].Event.Vault, Founders: founders, States: map[ev.Stream]ev.State{}}
	var events []sqldb.Replayed
	for _, e := range stored {
		statement, err := custody.Open(e.Leaf.Extra)
		if err != nil {
			t.Fatal(err)
		}
		after, err := ev.Apply(facts, statement.Event(), e.LeafHash)
		if err != nil {
			t.Fatalf("%s was committed, and its replay is refused: %v", e.Kind, err)
		}
		events = append(events, sqldb.Replayed{Entry: e, PAE: statement.PAEDigest(), Before: facts.States[e.Stream], After: after})
		facts.States[e.Stream] = after
	}
	if err := anew.Replay(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	differences, err := live.Differences(t.Context(), anew)
	if err != nil || len(differences) > 0 {
		t.Fatalf("after %d events: %+v, %v", len(stored), differences, err)
	}
	n := 0
	for _, c := range committed {
		n += c
	}
	if n != len(stored) {
		t.Fatalf("%d events were committed, %d are stored", n, len(stored))
	}
	last := open("last.db")
	defer last.Close()
	if err := last.Project(t.Context(), latest(events)); err != nil {
		t.Fatal(err)
	}
	if differences, err = live.Differences(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	for _, d := range differences {
		// Lists are only added to; and since when a grant counts is no matter of the last state.
		if d.Want && !(d.Table == "grants" && d.Have) || !slices.Contains(addedTo, d.Table) {
			t.Fatalf("by the last states: %+v", d)
		}
	}
	return committed
}

// addedTo are the lists that keep what an earlier state put there.
var addedTo = []string{"actor_keys", "actor_recipients", "members", "keepers", "sides", "speakers", "forms", "grants"}

// latest makes each stream's last state from nothing, in one step: what the steps to it made must be there too.
func latest(events []sqldb.Replayed) (list []sqldb.Replayed) {
	at := map[ev.Stream]int{}
	for _, e := range events {
		e.Before = nil
		if i, ok := at[e.Stream]; ok {
			list[i] = e
			continue
		}
		at[e.Stream] = len(list)
		list = append(list, e)
	}
	return list
}

// commit signs the events and commits them. In memory their leaf hashes were made up: those that they name become the true ones. What only
// the records can refuse, because it holds across streams, is left out, and what stands on it.
func commit(t *rapid.T, db *sqldb.DB, key *custody.Key, list []ev.Accepted, founders []ev.Founder) map[ev.Kind]int {
	committed, leaves, out := map[ev.Kind]int{}, map[string]string{}, map[string]bool{}
	for _, a := range list {
		first, err := custody.Sign(a.Event, key.SPKI(), key)
		if err != nil {
			t.Fatalf("%s: %v", a.Event.Kind, err)
		}
		text := string(first.Payload())
		if slices.ContainsFunc(slices.Collect(maps.Keys(out)), func(leaf string) bool { return strings.Contains(text, leaf) }) {
			out[a.Leaf.String()] = true
			continue
		}
		var pairs []string
		for was, is := range leaves {
			pairs = append(pairs, was, is)
		}
		statement, err := custody.Open(first.DSSE())
		if err == nil {
			statement, err = custody.OpenParts(custody.PayloadType, []byte(strings.NewReplacer(pairs...).Replace(text)),
				custody.Signature{KeyID: statement.KeyID(), DER: statement.Signature()})
		}
		if err != nil {
			t.Fatalf("%s: %v", a.Event.Kind, err)
		}
		signed, err := custody.Sign(statement.Event(), key.SPKI(), key)
		if err != nil {
			t.Fatalf("%s: %v", a.Event.Kind, err)
		}
		_, err = db.Commit(t.Context(), ledger.Commit{Signed: signed}, func(states map[ev.Stream]ev.State) (ev.State, error) {
			return ev.Apply(ev.Facts{Origin: signed.Event().Vault, Founders: founders, States: states}, signed.Event(), signed.LeafHash())
		})
		switch reason := ev.ReasonOf(err); {
		case err == nil:
			leaves[a.Leaf.String()] = signed.LeafHash().String()
			committed[a.Event.Kind]++
		case slices.Contains([]string{"key_reused", "recipient_reused", "item_recipient_reused", "exhibit_taken", "form_taken", "identity_case"}, reason):
			out[a.Leaf.String()] = true
		default:
			t.Fatalf("%s: %v", a.Event.Kind, err)
		}
	}
	return committed
}

package main

import (
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
)

// Every kind of finding and every act is a plain sentence, with who and when.
func TestAuditSentences(t *testing.T) {
	at := evidence.At(time.Date(2027, 3, 1, 10, 0, 0, 0, time.UTC))
	slow := findingRow(client.Finding{Kind: client.FoundClock, Actor: "act-slow", Since: at, Entry: 12, Against: 9, Behind: 5 * time.Minute}, nil)
	for _, text := range []string{"act-slow", "5m0s", "Entry 12 states 1 March 2027", "entry 9"} {
		if !strings.Contains(slow.text, text) {
			t.Errorf("%q is not in %q", text, slow.text)
		}
	}
	fast := findingRow(client.Finding{Kind: client.FoundClock, Actor: "act-fast", Since: at, Entry: 12, Against: 15, Ahead: 90 * time.Second}, nil)
	if want := "act-fast: states times that cannot be right, by up to 1m30s.\nEntry 12 states " + dateOf(at) + ", and the vault stated an earlier time, in entry 15, when it had been entered."; fast.text != want {
		t.Errorf("%q, want %q", fast.text, want)
	}
	if undated := findingRow(client.Finding{Kind: client.FoundUndated, Item: "itm-x", Since: at}, nil); undated.label != "No date" || !strings.Contains(undated.text, "kept for ever") {
		t.Errorf("%+v", undated)
	}
	late := findingRow(client.Finding{Kind: client.FoundUncompared, Item: "itm-x", Since: at, Due: at, Late: true}, nil)
	if late.label != "Overdue" || !strings.HasPrefix(late.text, "itm-x: was not compared with its deposit for more than 35 days\nsince 1 March 2027") {
		t.Errorf("%+v", late)
	}
	act := actRow(client.Act{Kind: evidence.ActorSuspended, By: "act-admin", Role: evidence.Administrator, Of: "act-court", Detail: "key_loss", Until: at, Time: at, Entry: 7}, nil)
	if want := "suspended (key loss), until " + dateOf(at) + "\nof act-court\n" + dateOf(at) + ", entry 7\nby administrator act-admin"; act.text != want {
		t.Errorf("%q, want %q", act.text, want)
	}
}

package campaign

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/client"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
)

// The same person signs the same statement in the same millisecond at two screens. The vault keeps the first of the two signatures and
// answers both with its receipt: that is no lie.
func TestTwin(t *testing.T) {
	w := newWorld(t, 1)
	p := &process{world: w}
	p.start()
	defer p.terminate()
	ctx := t.Context()
	in, _, err := w.custodian.OpenCase(ctx, client.NewCase{Type: "case", Members: []ev.Member{
		{Actor: w.custodian.Actor(), Rights: all}, {Actor: w.second.Actor(), Rights: all}, {Actor: w.investigator.Actor(), Rights: all},
	}, Keyholders: []ev.ActorID{w.custodian.Actor(), w.second.Actor()}})
	check(t, err)
	fixed := time.Now().Add(2 * time.Second)
	q := w.investigator
	mk := func() *client.Client {
		return must(client.New(client.Config{Keystore: q.folder, Signer: q.key, Unlock: func() (sealing.Identity, error) { return q.identity, nil },
			HTTP: &http.Client{Transport: &http.Transport{DialContext: w.dial}}, Tool: tool, Now: func() time.Time { return fixed }}))(t)
	}
	a, b := mk(), mk()
	for range 5 {
		id, _, err := w.investigator.Deposit(ctx, client.Deposit{Case: in, Class: ev.Original, Content: ev.Digital, Basis: ev.CourtOrder, Authority: "judge\norder 7/27\nact 4\nArt. 9(2)(f)",
			Body: strings.NewReader("x"), Label: "l", Description: client.Description{Name: "d", MediaType: "text/plain"}})
		check(t, err)
		var g sync.WaitGroup
		for _, c := range []*client.Client{a, b} {
			g.Go(func() {
				_, err := c.Seal(ctx, id, 0)
				if lie := client.LieOf(err); lie != "" {
					t.Errorf("an honest vault raised an alarm: %s", lie)
				}
			})
		}
		g.Wait()
	}
}

package sqldb

import (
	"sync"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/auth"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/vault"
)

func testUploads(t *testing.T, e engine) {
	w := newWorld(t, e.create(t))
	db, owner := w.db, evidence.NewID[evidence.ActorID]()
	u := vault.Upload{ID: evidence.NewID[evidence.UploadID](), Owner: owner, Size: 1 << 40, Expires: noon}
	v := vault.Upload{ID: evidence.NewID[evidence.UploadID](), Owner: owner, Size: 5, Expires: noon.Add(time.Hour)}
	ok(t, db.PutUpload(ctx, u))
	ok(t, db.PutUpload(ctx, v))
	refused(t, db.PutUpload(ctx, v), evidence.Conflict, "upload_exists")
	same(t, must[vault.Upload](t)(db.Upload(ctx, u.ID)), u)
	count := func(now time.Time, wantCount int, wantBytes int64) {
		t.Helper()
		n, sum, err := db.Uploads(ctx, owner, now)
		if err != nil || n != wantCount || sum != wantBytes {
			t.Errorf("uploads at %v: %d of %d bytes, %v", now, n, sum, err)
		}
	}
	count(noon.Add(-time.Microsecond), 2, 1<<40+5)
	count(noon, 1, 5)
	count(noon.Add(time.Hour), 0, 0)
	same(t, must[[]vault.Upload](t)(db.ExpiredUploads(ctx, noon, 10)), []vault.Upload{u})
	same(t, len(must[[]vault.Upload](t)(db.ExpiredUploads(ctx, noon.Add(-time.Second), 10))), 0)
	same(t, must[[]vault.Upload](t)(db.ExpiredUploads(ctx, noon.Add(time.Hour), 1)), []vault.Upload{u})

	for range 2 {
		ok(t, db.DropUpload(ctx, u.ID))
	}
	_, err := db.Upload(ctx, u.ID)
	refused(t, err, evidence.NotFound, "upload")

	// An upload becomes evidence once; a refused event leaves it.
	item := newItem(evidence.NewID[evidence.ItemID](), "cas-a")
	for i, want := range []string{"", "upload_gone"} {
		signed := w.sign(evidence.ItemOf(item.ID))
		_, err := db.Commit(ctx, ledger.Commit{Signed: signed, Upload: v.ID}, func(map[evidence.Stream]evidence.State) (evidence.State, error) {
			return nil, evidence.Refuse(evidence.Held, "no")
		})
		refused(t, err, evidence.Held, "no")
		_, err = db.Commit(ctx, ledger.Commit{Signed: signed, Upload: v.ID}, rule(signed, item))
		if i == 1 {
			refused(t, err, evidence.Conflict, want)
			continue
		}
		ok(t, err)
		w.tips[evidence.ItemOf(item.ID)] = tipOf(signed)
		must[ledger.Entry](t)(db.Commit(ctx, ledger.Commit{Signed: signed, Upload: v.ID}, nil)) // again, as it was
	}
	_, err = db.Upload(ctx, v.ID)
	refused(t, err, evidence.NotFound, "upload")
}

func testInvitations(t *testing.T, e engine) {
	db := e.create(t)
	by := evidence.NewID[evidence.ActorID]()
	var made []vault.Invitation
	for i := range 3 {
		inv := vault.Invitation{
			Digest: evidence.SHA256([]byte{byte(i)}), Actor: evidence.NewID[evidence.ActorID](), Role: evidence.Court, Organization: "org-a",
			DocumentsOnly: i == 0, By: by, Rotation: i == 1, Expires: noon.Add(time.Duration(i) * time.Hour),
		}
		ok(t, db.PutInvitation(ctx, inv))
		made = append(made, inv)
	}
	refused(t, db.PutInvitation(ctx, made[0]), evidence.Conflict, "invitation_exists")
	for _, inv := range made {
		same(t, must[vault.Invitation](t)(db.Invitation(ctx, inv.Digest)), inv)
	}
	same(t, must[[]vault.Invitation](t)(db.Invitations(ctx, by, noon, 10)), []vault.Invitation{made[2], made[1]})
	same(t, must[[]vault.Invitation](t)(db.Invitations(ctx, by, noon, 1)), []vault.Invitation{made[2]})
	same(t, len(must[[]vault.Invitation](t)(db.Invitations(ctx, "act-other", noon, 10))), 0)

	keys := evidence.Keys{Key: "a2V5", Recipient: "age1pq1x", Invitation: made[1].Digest}
	ok(t, db.AnswerInvitation(ctx, made[1].Digest, keys))
	ok(t, db.AnswerInvitation(ctx, made[1].Digest, keys))
	other := keys
	other.Key = "b3RoZXI="
	refused(t, db.AnswerInvitation(ctx, made[1].Digest, other), evidence.Conflict, "invitation_answered")
	refused(t, db.AnswerInvitation(ctx, evidence.SHA256(nil), keys), evidence.NotFound, "invitation")
	made[1].Keys = &keys
	same(t, must[vault.Invitation](t)(db.Invitation(ctx, made[1].Digest)), made[1])
	_, err := db.Invitation(ctx, evidence.SHA256(nil))
	refused(t, err, evidence.NotFound, "invitation")
}

func testReleases(t *testing.T, e engine) {
	db := e.create(t)
	r := vault.Release{Event: evidence.SHA256(nil), Item: "itm-a", Actor: "act-a", Begun: noon, Expires: noon.Add(time.Minute)}
	_, err := db.Release(ctx, r.Event)
	refused(t, err, evidence.NotFound, "release")
	ok(t, db.PutRelease(ctx, r))
	same(t, must[vault.Release](t)(db.Release(ctx, r.Event)), r)
	renewed := r
	renewed.Begun, renewed.Expires = noon.Add(time.Hour), noon.Add(2*time.Hour)
	ok(t, db.PutRelease(ctx, renewed))
	r.Expires = renewed.Expires // and nothing else
	same(t, must[vault.Release](t)(db.Release(ctx, r.Event)), r)
}

func testSessions(t *testing.T, e engine) {
	db, noon := e.create(t), noon
	if db.dialect.clock != "" { // by which it forgets
		noon = fromMicros(micros(time.Now()))
	}
	nonce := func(i int) evidence.Hash { return evidence.SHA256([]byte{byte(i)}) }
	for i := range 3 {
		ok(t, db.PutChallenge(ctx, nonce(i), noon.Add(time.Duration(i)*time.Hour)))
	}
	refused(t, db.PutChallenge(ctx, nonce(0), noon), evidence.Conflict, "challenge_exists")
	refused(t, db.TakeChallenge(ctx, nonce(9), noon.Add(-time.Second)), evidence.NotFound, "challenge")
	refused(t, db.TakeChallenge(ctx, nonce(0), noon), evidence.NotFound, "challenge") // expired at noon
	const racers = 16
	errs := make([]error, racers)
	var wg sync.WaitGroup
	for i := range racers {
		wg.Go(func() { errs[i] = db.TakeChallenge(ctx, nonce(1), noon) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			refused(t, err, evidence.NotFound, "challenge")
		}
	}
	same(t, won, 1)
	ok(t, db.TakeChallenge(ctx, nonce(2), noon))

	a, b := evidence.NewID[evidence.ActorID](), evidence.NewID[evidence.ActorID]()
	sessions := []auth.Session{
		{Actor: a, Role: evidence.Court, KeyID: nonce(1), Expires: noon.Add(time.Hour)},
		{Actor: a, Role: evidence.Court, KeyID: nonce(2), Expires: noon.Add(time.Hour)},
		{Actor: b, Role: evidence.Auditor, KeyID: nonce(3), Expires: noon},
	}
	find := func(want ...bool) {
		t.Helper()
		for i, s := range sessions {
			got, err := db.Session(ctx, nonce(100+i))
			if !want[i] {
				refused(t, err, evidence.NotFound, "session")
			} else if ok(t, err); got != s {
				t.Errorf("session %d is %+v", i, got)
			}
		}
	}
	find(false, false, false)
	for i, s := range sessions {
		ok(t, db.PutSession(ctx, nonce(100+i), s))
	}
	find(true, true, true)
	for range 2 {
		ok(t, db.DropSession(ctx, nonce(100)))
	}
	find(false, true, true)
	ok(t, db.DropSessions(ctx, a))
	find(false, false, true)
	refused(t, db.TakeChallenge(ctx, nonce(9), noon), evidence.NotFound, "challenge") // sweeps what expired
	find(false, false, false)
}

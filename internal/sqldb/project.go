package sqldb

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"slices"

	"strongroom.example/strongroom/internal/evidence"
)

// project writes what lists and checks of uniqueness need of a stream's new state. before is nil at seq 0. What was projected from an
// earlier state is only added to, but for the present state of grants.
func (t *tx) project(ctx context.Context, order int64, before, after evidence.State) error {
	if err := t.projectMoments(ctx, before, after); err != nil {
		return err
	}
	switch after := after.(type) {
	case *evidence.ActorState:
		return t.projectActor(ctx, previous[evidence.ActorState](before), after)
	case *evidence.CaseState:
		return t.projectCase(ctx, previous[evidence.CaseState](before), after)
	case *evidence.ConsentState:
		return t.projectConsent(ctx, previous[evidence.ConsentState](before), after)
	case *evidence.ItemState:
		return t.projectItem(ctx, order, previous[evidence.ItemState](before), after)
	}
	return nil
}

// previous returns the state before, an empty one at seq 0.
func previous[S any](before evidence.State) *S {
	if s, ok := any(before).(*S); ok && s != nil {
		return s
	}
	return new(S)
}

// projectMoments writes down when the stream is to be looked at next, if that has changed.
func (t *tx) projectMoments(ctx context.Context, before, after evidence.State) error {
	var was []evidence.Time
	if before != nil {
		was = evidence.Moments(before)
	}
	moments, s := evidence.Moments(after), streamOf(after)
	if slices.Equal(was, moments) {
		return nil
	}
	if _, err := t.exec(ctx, `delete from moments where stream_type = $1 and stream_id = $2`, s.Type, s.ID); err != nil {
		return err
	}
	for _, at := range moments {
		_, err := t.exec(ctx, `insert into moments (stream_type, stream_id, at) values ($1, $2, $3) on conflict do nothing`, s.Type, s.ID, at.String())
		if err != nil {
			return err
		}
	}
	return nil
}

// streamOf is the stream of a state that has moments.
func streamOf(s evidence.State) evidence.Stream {
	switch s := s.(type) {
	case *evidence.ItemState:
		return evidence.ItemOf(s.ID)
	case *evidence.ConsentState:
		return evidence.ConsentOf(s.ID)
	}
	return evidence.Stream{}
}

// projectConsent adds who speaks for the subject; who does not any more stays listed.
func (t *tx) projectConsent(ctx context.Context, before, after *evidence.ConsentState) error {
	if before.ID == "" {
		if _, err := t.exec(ctx, `insert into consents (case_id, id) values ($1, $2) on conflict do nothing`, after.Case, after.ID); err != nil {
			return err
		}
	}
	for _, form := range after.Forms {
		if slices.Contains(before.Forms, form) {
			continue
		}
		if _, err := t.exec(ctx, `insert into forms (item, consent) values ($1, $2) on conflict do nothing`, form, after.ID); err != nil {
			return err
		}
	}
	speak := func(id evidence.ActorID) error {
		_, err := t.exec(ctx, `insert into speakers (actor, consent, case_id) values ($1, $2, $3) on conflict do nothing`, id, after.ID, after.Case)
		return err
	}
	if after.Subject != before.Subject {
		if err := speak(after.Subject); err != nil {
			return err
		}
	}
	for _, g := range after.Advocates {
		if slices.ContainsFunc(before.Advocates, func(b evidence.Delegation) bool { return b.Advocate == g.Advocate }) {
			continue
		}
		if err := speak(g.Advocate); err != nil {
			return err
		}
	}
	return nil
}

// untaken: a form that a consent did not stand on before serves no other one (RULES §3.5). It is asked of new events only: what was
// accepted stays, whatever forms it took.
func (t *tx) untaken(ctx context.Context, before, after evidence.State) error {
	consent, ok := after.(*evidence.ConsentState)
	if !ok {
		return nil
	}
	for _, form := range consent.Forms {
		if slices.Contains(previous[evidence.ConsentState](before).Forms, form) {
			continue
		}
		others, err := list(ctx, t, scanTo[int64], `select 1 from forms where item = $1 and consent <> $2 limit 1`, form, consent.ID)
		if err == nil && len(others) > 0 {
			err = evidence.Refuse(evidence.Conflict, "form_taken")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// apart: who a person is shares a case with nothing but consent forms (RULES §3.6). It is asked of deposits alone: what was accepted stays.
func (t *tx) apart(ctx context.Context, before, after evidence.State) error {
	item, ok := after.(*evidence.ItemState)
	if !ok || before != nil || !hasSide(item) {
		return nil
	}
	others, err := list(ctx, t, scanTo[int64], `select 1 from sides where case_id = $1 and identity = $2 limit 1`, item.Case, 1-side(item))
	if err == nil && len(others) > 0 {
		err = evidence.Refuse(evidence.Conflict, "identity_case")
	}
	return err
}

// hasSide reports whether an item says what its case is for.
func hasSide(item *evidence.ItemState) bool {
	return item.ID != "" && item.Class != evidence.ConsentForm && item.Shredded == 0
}

// side is how it is stored what an item is: who a person is, or evidence.
func side(item *evidence.ItemState) int64 { return flag(item.Class == evidence.Identity) }

// projectActor adds new keys to the directory. A key or recipient is enrolled once in a vault's life, whoever holds it (RULES §3.3).
func (t *tx) projectActor(ctx context.Context, before, after *evidence.ActorState) error {
	if after.Key != before.Key {
		spki, err := base64.StdEncoding.DecodeString(after.Key)
		if err != nil {
			return internal("actor_key", err)
		}
		id := evidence.SHA256(spki)
		err = t.must(ctx, evidence.Refuse(evidence.Conflict, "key_reused"),
			`insert into actor_keys (key_id, actor, spki) values ($1, $2, $3) on conflict do nothing`, id[:], after.ID, spki)
		if err != nil {
			return err
		}
	}
	if after.Recipient == before.Recipient || after.Recipient == "" {
		return nil
	}
	recipient := evidence.SHA256([]byte(after.Recipient))
	return t.must(ctx, evidence.Refuse(evidence.Conflict, "recipient_reused"),
		`insert into actor_recipients (recipient, actor) values ($1, $2) on conflict do nothing`, recipient[:], after.ID)
}

// projectCase adds new members; who leaves stays listed.
func (t *tx) projectCase(ctx context.Context, before, after *evidence.CaseState) error {
	for _, m := range after.Members {
		if slices.ContainsFunc(before.Members, func(b evidence.Member) bool { return b.Actor == m.Actor }) {
			continue
		}
		_, err := t.exec(ctx, `insert into members (actor, case_id) values ($1, $2) on conflict do nothing`, m.Actor, after.ID)
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) projectItem(ctx context.Context, order int64, before, after *evidence.ItemState) error {
	if before.ID == "" {
		recipient := evidence.SHA256([]byte(after.ItemRecipient))
		err := t.must(ctx, evidence.Refuse(evidence.Conflict, "item_recipient_reused"),
			`insert into items (case_id, id, recipient) values ($1, $2, $3) on conflict do nothing`, after.Case, after.ID, recipient[:])
		if err != nil {
			return err
		}
	}
	if after.Exhibit != before.Exhibit {
		err := t.must(ctx, evidence.Refuse(evidence.Conflict, "exhibit_taken"),
			`insert into exhibits (case_id, number, item) values ($1, $2, $3) on conflict do nothing`, after.Case, after.Exhibit, after.ID)
		if err != nil {
			return err
		}
	}
	if hands := handsOn(after); !slices.Equal(hands, handsOn(before)) {
		if _, err := t.exec(ctx, `delete from keepers where item = $1`, after.ID); err != nil {
			return err
		}
		for _, actor := range hands {
			_, err := t.exec(ctx, `insert into keepers (actor, case_id, item) values ($1, $2, $3) on conflict do nothing`, actor, after.Case, after.ID)
			if err != nil {
				return err
			}
		}
	}
	if was, is := hasSide(before), hasSide(after); was != is {
		change := `delete from sides where case_id = $1 and identity = $2 and item = $3`
		if is {
			change = `insert into sides (case_id, identity, item) values ($1, $2, $3) on conflict do nothing`
		}
		if _, err := t.exec(ctx, change, after.Case, side(after), after.ID); err != nil {
			return err
		}
	}
	for i, g := range after.Grants {
		if i < len(before.Grants) && reflect.DeepEqual(g, before.Grants[i]) {
			continue
		}
		if err := t.putGrant(ctx, order, after, g); err != nil {
			return err
		}
	}
	return nil
}

// handsOn lists who has a physical item and who is to receive it, as far as they have accounts.
func handsOn(item *evidence.ItemState) (actors []evidence.ActorID) {
	if item.Keeper != "" {
		actors = append(actors, item.Keeper)
	}
	if item.Transit != nil && item.Transit.To != "" {
		actors = append(actors, item.Transit.To)
	}
	return actors
}

func (t *tx) putGrant(ctx context.Context, order int64, item *evidence.ItemState, g evidence.GrantState) error {
	state, err := json.Marshal(g)
	if err != nil {
		return internal("state_encoding", err)
	}
	var activated any
	if g.Status == evidence.GrantActive {
		activated = order
	}
	_, err = t.exec(ctx, `
		insert into grants (id, item, case_id, recipient, status, activated, expires, state) values ($1, $2, $3, $4, $5, $6, $7, $8)
		on conflict (id, item) do update
		set status = excluded.status, activated = coalesce(grants.activated, excluded.activated), state = excluded.state`,
		g.Terms.ID, item.ID, item.Case, g.Terms.Recipient.Actor, g.Status, activated, micros(g.Terms.Expires.Std()), string(state))
	return err
}

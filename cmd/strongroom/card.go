package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
)

// cardSession asks for a card and signs in with what it says. Nothing is read from this computer and nothing is kept on it.
func (a *app) cardSession(ctx context.Context) (*client.Client, error) {
	if a.home != "" || a.passphraseFile != "" {
		return nil, usage("--card needs neither --home nor --passphrase-file")
	}
	card, err := a.askCard()
	if err != nil {
		return nil, err
	}
	cl, err := client.ByCard(ctx, card, client.Config{Tool: tool(), Now: time.Now, Page: page})
	if err != nil {
		return nil, err
	}
	if err := cl.Recognize(ctx); err != nil {
		return nil, err
	}
	l := a.words()
	printRows(a.err, row{l.Say("label.card"), l.Say("card.session")})
	return cl, nil
}

// cardAttempts is how often a person at a terminal may mistype the code.
const cardAttempts = 3

// askCard asks for what a card says: the line of its square, or code, address and number as they are typed.
func (a *app) askCard() (client.Card, error) {
	_, person := terminal(a.in)
	for attempt := 1; ; attempt++ {
		card, err := a.askCardOnce(person)
		if person && attempt < cardAttempts && explain(err).reason == "card_code" {
			w, _ := sentenceFor(a.words(), "card_code")
			printRows(a.err, row{a.words().Say("label.again"), w.what}, row{"", w.next})
			continue
		}
		return card, err
	}
}

func (a *app) askCardOnce(person bool) (card client.Card, err error) {
	line := ""
	if person {
		line, err = a.secret(a.words().Say("ask.card"))
		line = strings.TrimSpace(line)
	} else {
		line, err = a.ask(a.words().Say("ask.card_line"))
	}
	if err != nil {
		return card, err
	}
	if strings.Contains(line, "://") {
		return client.ParseCardLine(line)
	}
	if card.Code, err = sealing.ParseCard(line); err != nil {
		return card, decline("card_code")
	}
	typed, err := a.ask(a.words().Say("ask.address"))
	if err != nil {
		return card, err
	}
	if !strings.Contains(typed, "://") {
		typed = "https://" + typed
	}
	if card.Address, err = client.ParseAddress(typed); err != nil {
		return card, err
	}
	number, err := a.ask(a.words().Say("ask.number"))
	if err != nil {
		return card, err
	}
	card.Trust, err = client.ParseTrustNumber(number)
	return card, err
}

// enrolByCard makes a card for the invited person. The only thing it may write is the page that was asked for. The card is written, or
// shown, before the vault learns of the new keys, so that there never are keys of a card that does not exist.
func (a *app) enrolByCard(ctx context.Context, args []string, r reach, to string) error {
	k, err := a.helper()
	if err != nil {
		return err
	}
	trust, profile, err := a.connect(ctx, k, r)
	if err != nil {
		return err
	}
	address, err := client.ParseAddress(profile.Address)
	if err != nil {
		return err
	}
	code, err := a.invitation(args)
	if err != nil {
		return err
	}
	card := client.NewCard(address, trust)
	cl, err := client.ByCard(ctx, card, client.Config{Tool: tool(), Now: time.Now})
	if err != nil {
		return err
	}
	terms, err := termsOf(ctx, cl, code)
	if err != nil {
		return err
	}
	if evidence.Role(terms.Role) != evidence.Survivor {
		return decline("card_role")
	}
	invited := "be survivor"
	if terms.Rotation {
		invited = "replace the card of " + terms.Actor
	}
	printRows(a.err, row{"Invited to", invited})
	if err := a.giveCard(card, to); err != nil {
		return err
	}
	fingerprint, err := cl.AnswerInvitation(ctx, code)
	if err != nil {
		return a.noCard(err, fingerprint, to)
	}
	return a.tellCard(terms.Actor, tlog.SixGroups(fingerprint), to)
}

// giveCard writes the page, or the card's text where there is none.
func (a *app) giveCard(card client.Card, to string) error {
	switch to {
	case "":
		text := fields{"code": card.Code.Code(), "address": card.Address.String(), "number": card.Trust.Groups()}
		return a.show(fields{"result": "made", "card": text}, row{"Code", strings.ReplaceAll(card.Code.Code(), "-", " ")},
			row{"Number", card.Trust.Groups()}, row{"Address", card.Address.String()})
	case "-":
		return card.WritePage(a.out, a.cardWords())
	}
	return saved(to, card.SavePage(to, a.cardWords()))
}

// cardWords are what the page says, in the language that was asked for: it is hers, whoever prints it.
func (a *app) cardWords() client.CardWords {
	l := a.chosen()
	return client.CardWords{Language: l.Tag(), Direction: l.Direction(), Title: l.Say("page.title"), Square: l.Say("page.square"), Code: l.Say("page.code"),
		Number: l.Say("page.number"), Address: l.Say("page.address"), Steps: []string{l.Say("page.print"), l.Say("page.delete"), l.Say("page.keep")}}
}

// noCard ends what the vault has not confirmed. Only the vault's refusal makes the page worthless: after anything else it may be the only
// copy of keys that count.
func (a *app) noCard(err error, fingerprint evidence.Hash, to string) error {
	file := to != "" && to != "-"
	if fingerprint.IsZero() {
		if file {
			return errors.Join(err, os.Remove(to))
		}
		printRows(a.err, row{"Card", "The card is not worth anything. Destroy it."})
		return err
	}
	p := explain(err)
	if reason := evidence.ReasonOf(err); p.label != "ALARM" && reason != "certificate" && reason != "other_certificate" {
		p = cannot("answer_lost", err)
	}
	p.kept = "The card."
	if file {
		p.kept = "The card, in " + to + "."
	}
	p.kept += " If the vault has its keys, their number is " + tlog.SixGroups(fingerprint) + "."
	return p
}

// helper is what this computer knows of the vault: address and trust file of the folder of who helps, if there are any. It is a copy.
func (a *app) helper() (client.Keystore, error) {
	dir, err := a.folder()
	if err != nil {
		return nil, err
	}
	k := new(client.InMemory)
	trust, err := client.ReadTrust(client.Folder(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err != nil {
		return nil, err
	}
	profile, err := client.ReadProfile(client.Folder(dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return k, errors.Join(client.Pin(k, trust), client.WriteProfile(k, client.Profile{Address: profile.Address}))
}

// tellCard says whose the card is, and what is to be done with it.
func (a *app) tellCard(actor, keyNumber, to string) error {
	value := fields{"result": "answered", "actor": actor, "key_number": keyNumber}
	now := fmt.Sprintf("Print %s, give her the card, and delete the file, also from the bin.", to)
	switch to {
	case "":
		now = "Write code, number and address on paper, read them back, then clear this window."
	case "-":
		now = "Print the page, and keep no copy of it."
	default:
		value["file"] = to
	}
	rows := []row{{"Made", "a new card; nothing else is kept on this computer"}, {"Now", now}, {"Key", keyNumber}, {"She is", actor},
		{"Next", "A second person will call her. She reads them the six groups of the key."}}
	if to == "-" {
		printRows(a.err, rows...)
		return nil
	}
	return a.show(value, rows...)
}

// whoamiByCard shows whose the card is. That it counts was checked when it signed in.
func (a *app) whoamiByCard(ctx context.Context) error {
	cl, err := a.cardSession(ctx)
	if err != nil {
		return err
	}
	me, current, err := cl.WhoAmI(ctx)
	if err != nil {
		return err
	}
	w := whoami{Actor: me.ID, Role: me.Role, Organization: me.Organization, Status: me.Status, KeyNumber: me.Shown, Current: current,
		Vault: cl.Vault(), VaultNumber: tlog.SixGroups(cl.Trust().Fingerprint())}
	return a.show(w, row{"You", string(w.Actor)}, row{"Key", w.KeyNumber}, row{"Role", plain(string(w.Role))},
		row{"Vault", w.Vault}, row{"", w.VaultNumber}, row{"State", statuses[w.Status]})
}

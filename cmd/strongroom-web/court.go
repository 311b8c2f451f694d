//go:build js && wasm

package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"slices"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
)

// shareParams name a grant.
type shareParams struct {
	Item  evidence.ItemID  `json:"item"`
	Grant evidence.GrantID `json:"grant"`
}

func (p shareParams) check() error { return valid(evidence.ValidID(p.Item), evidence.ValidID(p.Grant)) }

// share is a grant as its item's verified history shows it.
type share struct {
	Item             evidence.ItemID      `json:"item"`
	Grant            evidence.GrantID     `json:"grant"`
	Exhibit          int64                `json:"exhibit,omitempty"`
	Class            evidence.Class       `json:"class"`
	Content          evidence.Content     `json:"content"`
	Size             int64                `json:"size"`         // of the sealed file
	Organization     evidence.OrgID       `json:"organization"` // whose person proposed it
	OrganizationName string               `json:"organization_name,omitempty"`
	State            evidence.GrantStatus `json:"state"` // "pending", "active", "refused", "revoked", "expired"
	Ready            bool                 `json:"ready"` // active, begun, and the recipient's key is written: it can be opened now
	Terms            evidence.Terms       `json:"terms"`
	Purpose          evidence.Purpose     `json:"purpose"`
	Until            evidence.Time        `json:"until"`
	Proposed         evidence.Time        `json:"proposed,omitempty"`
	Approved         evidence.Time        `json:"approved,omitempty"`     // the last approval
	Redeemed         evidence.Time        `json:"redeemed,omitempty"`     // the last opening
	Acknowledged     evidence.Time        `json:"acknowledged,omitempty"` // the last receipt that was confirmed
	Unequal          bool                 `json:"unequal,omitempty"`      // which said that the copy differs
}

// shares lists what is shared with this person, each from its item's checked history.
func shares(r request, c *client.Client, _ none) ([]share, error) {
	grants, err := c.Grants(r)
	if err != nil && evidence.ReasonOf(err) != evidence.ReasonRole {
		return nil, err
	}
	names, err := organizations(r, c)
	if err != nil {
		return nil, err
	}
	list := []share{}
	views := make(map[evidence.ItemID]*client.View)
	for _, g := range grants {
		item := evidence.ItemID(g.Item)
		if views[item] == nil {
			if views[item], err = c.Look(r, evidence.ItemOf(item)); err != nil {
				return nil, err
			}
		}
		s, err := shareOf(views[item], item, evidence.GrantID(g.ID))
		if err != nil {
			return nil, err
		}
		s.OrganizationName = names[s.Organization]
		list = append(list, s)
	}
	return list, nil
}

// shareOf reads a grant out of a verified history.
func shareOf(v *client.View, id evidence.ItemID, grant evidence.GrantID) (s share, err error) {
	stream := evidence.ItemOf(id)
	item, ok := v.State(stream).(*evidence.ItemState)
	if !ok {
		return s, evidence.Refuse(evidence.NotFound, "not_found")
	}
	g := item.Grant(grant)
	if g == nil {
		return s, evidence.Refuse(evidence.NotFound, evidence.ReasonGrant)
	}
	s = share{
		Item: id, Grant: grant, Exhibit: item.Exhibit, Class: item.Class, Content: item.Content, Size: item.Evidence.Size,
		Organization: g.Organization, State: g.Status, Terms: g.Terms, Purpose: g.Terms.Purpose, Until: g.Terms.Expires, Unequal: g.Unequal,
	}
	if g.Over(v.Time) && (g.Status == evidence.GrantPending || g.Status == evidence.GrantActive) {
		s.State = evidence.GrantOver
	}
	_, written := item.Envelope(g.Terms.Recipient.Fingerprint)
	s.Ready = written && s.State == evidence.GrantActive && max(g.Terms.NotBefore, g.Terms.CoolingOff) <= v.Time
	for e, err := range v.Events(stream) {
		if err != nil {
			return s, err
		}
		if d, ok := e.Details.(*evidence.GrantProposedDetails); ok && d.ID == grant {
			s.Proposed = e.Time
		}
		if evidence.GrantNamed(e.Details) != grant {
			continue
		}
		switch e.Kind {
		case evidence.GrantApproved:
			s.Approved = e.Time
		case evidence.GrantRedeemed:
			s.Redeemed = e.Time
		case evidence.GrantAcknowledged:
			s.Acknowledged = e.Time
		}
	}
	return s, nil
}

// said is a note to a share's recipient.
type said struct {
	Name    string            `json:"name"`
	Text    string            `json:"text,omitempty"`
	Unread  client.Unread     `json:"unread,omitempty"`  // why there is no text
	Persons client.Pseudonyms `json:"persons,omitempty"` // of the note "pseudonym": by which names the persons concerned are known, by their consents
}

type redeemAnswer struct {
	withFile
	Name   string         `json:"name"`
	Type   string         `json:"type"`
	Size   int64          `json:"size"`
	SHA256 evidence.Hash  `json:"sha256"`
	Entry  int64          `json:"entry"` // of the opening, in the log
	Notes  []said         `json:"notes"`
	Terms  evidence.Terms `json:"terms"`
	Copied bool           `json:"copied"` // an entry tells already that it may be kept
}

// redeem opens a share to be seen: logged first, then fetched, decrypted and compared. The original goes to the page alone. Who keeps it says so
// with copyShare; a share that allows nothing but a copy is one from the start.
func redeem(r request, c *client.Client, p shareParams) (a redeemAnswer, err error) {
	v, err := c.Look(r, evidence.ItemOf(p.Item))
	if err != nil {
		return a, err
	}
	s, err := shareOf(v, p.Item, p.Grant)
	if err != nil {
		return a, err
	}
	action := evidence.View
	if !slices.Contains(s.Terms.Actions, evidence.View) {
		action = evidence.Download
	}
	var file gathered
	opened, err := c.Redeem(r, client.Redemption{Item: p.Item, Grant: p.Grant, Action: action, Progress: r.telling()}, &file)
	if err != nil {
		return a, err
	}
	item := v.State(evidence.ItemOf(p.Item)).(*evidence.ItemState)
	if err := r.remember(p, arrived{item.Evidence.SHA256, opened.Description.SHA256, opened.Description.Size}); err != nil {
		return a, err
	}
	d := opened.Description
	a = redeemAnswer{withFile{file.blob()}, d.Name, d.MediaType, d.Size, d.SHA256, opened.Receipt.Index(), []said{}, s.Terms, opened.Exported != nil}
	notes, err := c.NotesToRecipient(r, opened)
	if client.LieOf(err) != "" {
		return redeemAnswer{}, err // another error is no reason to hide that the file is there
	}
	for _, n := range notes {
		told := said{Name: n.Name, Text: n.Text, Unread: n.Unread}
		if names, err := client.ParsePseudonyms(n.Text); n.Name == "pseudonym" && err == nil {
			told.Persons, told.Text = names, ""
		}
		a.Notes = append(a.Notes, told)
	}
	return a, nil
}

type copyAnswer struct {
	Entry int64 `json:"entry"` // of item.exported
}

// copyShare records that what a share holds is about to be kept as a file (RULES §3.6). The page saves it once this has answered.
func copyShare(r request, c *client.Client, p shareParams) (a copyAnswer, err error) {
	receipt, err := c.Copied(r, p.Item, p.Grant)
	if err != nil {
		return a, err
	}
	return copyAnswer{receipt.Index()}, nil
}

// arrived is what a redemption on this device found, as the command line notes it: the digest of the sealed file, and what its description
// says of the original.
type arrived struct {
	Evidence evidence.Hash `json:"evidence"`
	SHA256   evidence.Hash `json:"sha256"`
	Size     int64         `json:"size"`
}

func (p shareParams) document() string {
	return "redeemed/" + string(p.Grant) + "." + string(p.Item) + ".json"
}

func (d *device) remember(p shareParams, found arrived) error {
	text, err := json.Marshal(found)
	if err != nil {
		return err
	}
	return d.kept.Write(p.document(), text)
}

func (d *device) recall(p shareParams) (found arrived, err error) {
	text, err := d.kept.Read(p.document())
	if errors.Is(err, fs.ErrNotExist) {
		return found, evidence.Refuse(evidence.Conflict, evidence.ReasonNotRedeemed)
	}
	if err != nil {
		return found, err
	}
	return found, json.Unmarshal(text, &found)
}

type acknowledgeParams struct {
	shareParams
	SHA256  evidence.Hash `json:"sha256"`            // of the copy that is kept
	Unequal bool          `json:"unequal,omitempty"` // the person knows that it differs, and wants that signed
}

type entryAnswer struct {
	Entry int64 `json:"entry"`
	Equal bool  `json:"equal"`
}

// acknowledge signs that the copy is the recorded one. One that differs is signed as that only if the person says so: both ends are alarmed.
func acknowledge(r request, c *client.Client, p acknowledgeParams) (a entryAnswer, err error) {
	found, err := r.recall(p.shareParams)
	if err != nil {
		return a, err
	}
	equal := p.SHA256 == found.SHA256
	if !equal && !p.Unequal {
		return a, evidence.Refuse(evidence.Conflict, "copy_differs")
	}
	receipt, err := c.Acknowledge(r, p.Item, p.Grant, found.Evidence, equal)
	if err != nil {
		return a, err
	}
	return entryAnswer{receipt.Index(), equal}, nil
}

type exportParams struct {
	shareParams
	Nonce    string `json:"nonce,omitempty"`
	Language string `json:"language,omitempty"`
}

type exportAnswer struct {
	withFile
	Name         string `json:"name"`
	Size         int64  `json:"size"`
	Nonce        string `json:"nonce"`
	Entry        int64  `json:"entry"` // of item.exported
	Acknowledged bool   `json:"acknowledged"`
}

// export makes the package for the court (FORMATS §11).
func export(r request, c *client.Client, p exportParams) (a exportAnswer, err error) {
	language, err := dossier.ParseLanguage(p.Language)
	if err != nil {
		language = dossier.English
	}
	var file gathered
	done, err := c.Export(r, client.Export{Item: p.Item, Grant: p.Grant, Nonce: p.Nonce, Language: language, Progress: r.telling()}, &file)
	if err != nil {
		return a, err
	}
	return exportAnswer{withFile{file.blob()}, string(p.Item) + ".zip", file.size, done.Nonce, done.Receipt.Index(), done.Acknowledged != nil}, nil
}

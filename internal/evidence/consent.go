package evidence

import (
	"cmp"
	"slices"
)

// The answers that gate an act, by the content it is about (RULES §4). Consent to one thing is never consent to another: content that
// is in no row is not permitted.
var (
	toKeep = map[Content][]func(*Answers) Answer{
		Clinical:        {storage, examination},
		Photograph:      {storage, photographs},
		Testimony:       {storage},
		Digital:         {storage},
		Physical:        {storage},
		IdentityContent: {storage}, // of its own consent
	}
	toPolice = map[Content]func(*Answers) Answer{
		Clinical:        policeInformation,
		Testimony:       policeInformation,
		Digital:         policeInformation,
		Photograph:      policePhotographs,
		Physical:        policePhysical,
		IdentityContent: policeInformation,
	}
	toCourt = map[Content]func(*CourtAnswer) Answer{
		Clinical:        courtInformation,
		Testimony:       courtInformation,
		Digital:         courtInformation,
		Photograph:      courtPhotographs,
		Physical:        courtPhysical,
		IdentityContent: courtInformation,
	}
)

func storage(a *Answers) Answer              { return a.Storage }
func examination(a *Answers) Answer          { return a.Examination }
func photographs(a *Answers) Answer          { return a.Photographs }
func policeInformation(a *Answers) Answer    { return a.PoliceInformation }
func policePhotographs(a *Answers) Answer    { return a.PolicePhotographs }
func policePhysical(a *Answers) Answer       { return a.PolicePhysical }
func courtInformation(a *CourtAnswer) Answer { return a.Information }
func courtPhotographs(a *CourtAnswer) Answer { return a.Photographs }
func courtPhysical(a *CourtAnswer) Answer    { return a.Physical }

// InForce says why the consent permits nothing at now, or nil.
func (s *ConsentState) InForce(now Time) error {
	switch {
	case s.Withdrawn != 0:
		return Refuse(Gone, ReasonConsentWithdrawn)
	case now < s.From || now >= s.Until:
		return Refuse(Gone, ReasonConsentExpired)
	}
	return nil
}

// Keeps says why the consent does not permit content to be kept at now, or nil.
func (s *ConsentState) Keeps(content Content, now Time) error {
	if err := s.InForce(now); err != nil {
		return err
	}
	return s.stores(content)
}

// stores says why the newest answers do not let content be kept, or nil, whether or not the consent is still in force.
func (s *ConsentState) stores(content Content) error {
	questions := toKeep[content]
	if len(questions) == 0 || slices.ContainsFunc(questions, func(q func(*Answers) Answer) bool { return q(&s.Answers) != Yes }) {
		return Refuse(Forbidden, ReasonConsentAnswer)
	}
	return nil
}

// Shares says why the consent does not permit content to go to a recipient of a role and jurisdiction at now, or nil.
func (s *ConsentState) Shares(content Content, to Role, jurisdiction string, now Time) error {
	if err := s.InForce(now); err != nil {
		return err
	}
	return s.answers(content, to, jurisdiction)
}

// answers says why the newest answers do not let content go to a recipient of a role and jurisdiction, or nil, whether or not the
// consent is still in force.
func (s *ConsentState) answers(content Content, to Role, jurisdiction string) error {
	answer := No
	switch to {
	case Police, Prosecutor:
		if q, ok := toPolice[content]; ok {
			answer = q(&s.Answers)
		}
	case Court, Defence:
		i := slices.IndexFunc(s.Answers.Courts, func(c CourtAnswer) bool { return c.Jurisdiction == jurisdiction })
		if q, ok := toCourt[content]; ok && i >= 0 {
			answer = q(&s.Answers.Courts[i])
		}
	}
	if answer != Yes {
		return Refuse(Forbidden, ReasonConsentAnswer)
	}
	return nil
}

// consentGiven: by a clinician or investigator of the case for the subject, or by the survivor. The next version, with a form of its
// own, deposited before. What a survivor began is the survivor's: nobody else widens it. A subject who has keys, or who narrowed it,
// is spoken for by two persons: one deposited the form, another one signs. So is who gets keys later: the survivor named gains power
// over every item that the consent governs.
func consentGiven(a *act) (State, error) {
	d := a.Details.(*ConsentGivenDetails)
	own, _ := a.own.(*ConsentState)
	s := &ConsentState{Last: a.tip, ID: ConsentID(a.Stream.ID), Case: a.Case, Version: d.Version, Answers: d.Answers,
		From: d.From, Until: d.Until, By: d.By, AskFirst: d.AskFirst, Answered: a.Time, Form: d.Form, Forms: []ItemID{d.Form}}
	next := int64(1)
	if own != nil {
		next = own.Version + 1
		s.Forms = with(own.Forms, d.Form, cmp.Compare[ItemID])
		s.Subject, s.Own, s.Advocates = own.Subject, own.Own, own.Advocates
		s.Guarded = own.Guarded && a.Actor.Role != Survivor
	} else if a.Actor.Role == Survivor {
		s.Subject, s.Own = a.Actor.ID, true
	}
	if own == nil || own.Subject != a.Actor.ID {
		if err := a.member(""); err != nil {
			return nil, err
		}
	}
	switch {
	case !a.in.Open:
		return nil, Refuse(Conflict, ReasonCaseClosed)
	case own != nil && own.Case != a.Case:
		return nil, Refuse(Invalid, ReasonCase)
	case own != nil && own.Withdrawn != 0:
		return nil, Refuse(Gone, ReasonConsentWithdrawn)
	case (a.Actor.Role == Survivor || s.Own) && s.Subject != a.Actor.ID, a.Actor.Role == Survivor && d.By != "self":
		return nil, Refuse(Forbidden, ReasonNotSubject)
	case d.Subject != "" && s.Subject != "" && d.Subject != s.Subject:
		return nil, Refuse(Forbidden, ReasonNotSubject)
	case d.Version != next:
		return nil, Refuse(Conflict, ReasonConsentVersion)
	case d.Until <= a.Time:
		return nil, Refuse(Invalid, ReasonWindow)
	}
	form, err := lookup[*ItemState](a.facts, ItemOf(d.Form))
	if err != nil {
		return nil, err
	}
	if form.Class != ConsentForm || form.Case != a.Case || own != nil && slices.Contains(own.Forms, d.Form) {
		return nil, Refuse(Invalid, ReasonConsentForm)
	}
	if own != nil && (own.Guarded || own.Subject != "" || d.Subject != "") && a.Actor.Role != Survivor {
		if err := a.second(form.Depositor, ""); err != nil {
			return nil, err
		}
	}
	if d.Subject != "" && s.Subject == "" {
		subject, err := a.active(d.Subject)
		if err != nil {
			return nil, err
		}
		if subject.Role != Survivor {
			return nil, Refuse(Forbidden, ReasonNotSubject)
		}
		s.Subject, s.Advocates = d.Subject, nil // whom staff had named for her, she names herself or not at all
	}
	return s, nil
}

// consentNarrowed: by who speaks for the subject, or any member who was told. It takes away and adds nothing; what is not kept any more
// freezes, and grants that it does not permit give nothing any more.
func consentNarrowed(a *act) (State, error) {
	own, d := a.own.(*ConsentState), a.Details.(*ConsentNarrowedDetails)
	if own.Case != a.Case {
		return nil, Refuse(Invalid, ReasonCase)
	}
	if err := a.takesBack(own, "narrow"); err != nil {
		return nil, err
	}
	switch less := !own.Answers.within(&d.Answers); {
	case own.Withdrawn != 0:
		return nil, Refuse(Gone, ReasonConsentWithdrawn)
	case d.Version != own.Version+1:
		return nil, Refuse(Conflict, ReasonConsentVersion)
	case !d.Answers.within(&own.Answers), d.Until > own.Until, !less && d.Until == own.Until:
		return nil, Refuse(Invalid, ReasonWider)
	case d.Until <= own.From, d.Until < own.Until && d.Until < a.Time: // nothing ends before now
		return nil, Refuse(Invalid, ReasonWindow)
	}
	s := *own
	s.Last, s.Version, s.Answers, s.Until, s.Answered = a.tip, d.Version, d.Answers, d.Until, a.Time
	s.Guarded = own.Guarded || a.Actor.Role == Survivor || a.Actor.Role == Advocate
	return &s, nil
}

// single are the answers that stand once in a consent.
func (a *Answers) single() []Answer {
	return []Answer{a.Examination, a.Photographs, a.Storage, a.PoliceInformation, a.PolicePhotographs, a.PolicePhysical, a.Research}
}

func (c *CourtAnswer) single() []Answer { return []Answer{c.Information, c.Photographs, c.Physical} }

// within reports whether a says yes to nothing that b does not say yes to.
func (a *Answers) within(b *Answers) bool {
	fits := func(a, b []Answer) bool {
		for i := range a {
			if a[i] == Yes && b[i] != Yes {
				return false
			}
		}
		return true
	}
	if !fits(a.single(), b.single()) {
		return false
	}
	none := CourtAnswer{}
	for i := range a.Courts {
		before := &none
		if j := slices.IndexFunc(b.Courts, func(c CourtAnswer) bool { return c.Jurisdiction == a.Courts[i].Jurisdiction }); j >= 0 {
			before = &b.Courts[j]
		}
		if !fits(a.Courts[i].single(), before.single()) {
			return false
		}
	}
	return true
}

// consentWithdrawn: the subject, or any member who was told. It needs no approval and is final.
func consentWithdrawn(a *act) (State, error) {
	own := a.own.(*ConsentState)
	if own.Case != a.Case {
		return nil, Refuse(Invalid, ReasonCase)
	}
	if err := a.takesBack(own, "withdraw"); err != nil {
		return nil, err
	}
	if own.Withdrawn != 0 {
		return nil, Refuse(Gone, ReasonConsentWithdrawn)
	}
	s := *own
	s.Last, s.Withdrawn = a.tip, a.Time
	return &s, nil
}

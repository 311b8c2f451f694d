package evidence

import (
	"cmp"
	"regexp"
	"strings"
)

func (a *Answers) check() error {
	for _, v := range a.single() {
		if !known(answers, v) {
			return errCode
		}
	}
	if !ascending(a.Courts, func(a, b CourtAnswer) int { return strings.Compare(a.Jurisdiction, b.Jurisdiction) }) {
		return errOrder
	}
	for _, c := range a.Courts {
		switch {
		case !validCountry(c.Jurisdiction) || c.Jurisdiction == Withheld:
			return Refuse(Invalid, ReasonCountry)
		case !known(answers, c.Information), !known(answers, c.Photographs), !known(answers, c.Physical):
			return errCode
		}
	}
	return nil
}

func (d *ConsentGivenDetails) Check() error {
	switch {
	case !count(d.Version - 1):
		return errSize
	case !moment(d.From), !moment(d.Until):
		return errTime
	case d.From >= d.Until:
		return Refuse(Invalid, ReasonWindow)
	case d.By != "self" && d.By != "proxy":
		return errCode
	case !ValidID(d.Form):
		return errIdentifier
	case d.Subject != "" && !ValidID(d.Subject):
		return errIdentifier
	}
	return d.Answers.check()
}

func (d *ConsentNarrowedDetails) Check() error {
	if !count(d.Version - 1) {
		return errSize
	}
	return cmp.Or(checkTime(d.Until), d.Answers.check())
}

var confirmationNumber = regexp.MustCompile(`^[0-9]{4}-[0-9]{4}$`)

func (d *ConsentWithdrawnDetails) Check() error {
	if !confirmationNumber.MatchString(d.Number) {
		return errText
	}
	return nil
}

func (d *ConsentDelegatedDetails) Check() error {
	switch {
	case !ValidID(d.Advocate):
		return errIdentifier
	case len(d.Rights) == 0, !unique([]string{"read", "narrow", "withdraw", "approve"}, d.Rights):
		return errCode
	}
	return checkTime(d.Until)
}

func (d *ConsentDelegationEndedDetails) Check() error {
	if !ValidID(d.Advocate) {
		return errIdentifier
	}
	return checkCause(d.Cause)
}

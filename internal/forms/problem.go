package forms

import (
	"slices"
	"strconv"
)

// Kind says what a problem stops.
type Kind string

const (
	Wrong      Kind = "wrong"      // this is not a document of its schema; nobody can go on with it
	Unfinished Kind = "unfinished" // a draft that can be read and kept, but not sealed
	Ask        Kind = "ask"        // stops nothing; a person should look at it
)

// Problem is one thing to put right. Path names the field as people count, "examination.findings[2].consistency" being the second
// finding; it is empty for the whole document. Reason is a stable code, Text says why and what to do. Neither repeats a value.
type Problem struct {
	Kind   Kind   `json:"kind"`
	Path   string `json:"path"`
	Reason string `json:"reason"`
	Text   string `json:"text"`
}

// String is one line for a person.
func (p Problem) String() string {
	if p.Path == "" {
		return p.Text
	}
	return p.Path + ": " + p.Text
}

// Reasons of problems.
const (
	ReasonSize         = "size"          // more than MaxSize bytes
	ReasonJSON         = "json"          // not JSON
	ReasonDepth        = "depth"         // nested too deeply
	ReasonSchema       = "schema"        // no schema of this package, or another one than before
	ReasonTwice        = "twice"         // a field, number or name that stands twice
	ReasonField        = "unknown_field" // a field that the schema does not have
	ReasonOpinion      = "opinion"       // an opinion where only facts belong
	ReasonType         = "type"          // text where a number belongs, and the like
	ReasonCode         = "code"          // not one of the words of a list
	ReasonSyntax       = "syntax"        // a date, identifier or digest in another spelling
	ReasonRange        = "range"         // a number out of bounds
	ReasonLength       = "length"        // too many characters or entries
	ReasonCharacter    = "character"     // a character that does not belong into text
	ReasonEmpty        = "empty"         // an entry of a list without content
	ReasonMissing      = "missing"       // a field that must be filled
	ReasonBoth         = "both"          // a value and the reason for having none
	ReasonStrong       = "strong_opinion"
	ReasonSecondReader = "second_reader"
	ReasonReference    = "reference" // what a field points to is not there
	ReasonConsent      = "consented" // needs a yes of its own
	ReasonException    = "exception" // departs from a rule and does not say why
	ReasonOrder        = "order"     // photographs or times in the wrong order
	ReasonConsistency  = "consistency"
	ReasonSide         = "side"
	ReasonOnline       = "online"
	ReasonScreenshot   = "screenshot"
	ReasonCorroborated = "corroborated"
	ReasonProxy        = "proxy"
	ReasonMinor        = "minor"
	ReasonCapacity     = "capacity"
	ReasonContact      = "contact"
	ReasonSpoken       = "spoken"
	ReasonConsultation = "consultations"
	ReasonUnchanged    = "unchanged"
)

// maxProblems of one kind are reported: a person needs no more, and a hostile document gets no more.
const maxProblems = 100

// check collects problems.
type check struct {
	problems []Problem
	count    map[Kind]int
}

func (c *check) add(kind Kind, path, reason, text string) {
	if c.count == nil {
		c.count = map[Kind]int{}
	}
	if c.count[kind]++; c.count[kind] <= maxProblems {
		c.problems = append(c.problems, Problem{kind, path, reason, text})
	}
}

func (c *check) of(kind Kind) []Problem {
	return slices.DeleteFunc(slices.Clone(c.problems), func(p Problem) bool { return p.Kind != kind })
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// entry names the entry at index i of a list: people count from 1.
func entry(path string, i int) string { return path + "[" + strconv.Itoa(i+1) + "]" }

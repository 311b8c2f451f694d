package forms

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/evidence"
)

// broken is a document that breaks a rule: the example with edits, what is reported, and whether the JSON Schema refuses it too.
type broken struct {
	name   string
	edits  map[string]any
	kind   Kind
	path   string
	reason string
	schema bool
}

type edits = map[string]any

func run(t *testing.T, s Schema, list []broken) {
	t.Helper()
	schema := compiled(t, s)
	for _, b := range list {
		text := with(t, s, b.edits)
		d, problems := Parse(text)
		if !reported(problems, b.kind, b.path, b.reason) {
			t.Errorf("%s: %v", b.name, problems)
		}
		if (d == nil) != (b.kind == Wrong) {
			t.Errorf("%s: read as %v", b.name, d != nil)
		}
		if d != nil && reported(d.Sealable(), b.kind, b.path, b.reason) != (b.kind == Unfinished) {
			t.Errorf("%s: can be sealed: %v", b.name, d.Sealable())
		}
		if err := validates(t, schema, text); (err != nil) != b.schema {
			t.Errorf("%s: the JSON Schema says %v", b.name, err)
		}
	}
}

// accepted: with these edits nothing is reported.
func accepted(t *testing.T, s Schema, list ...edits) {
	t.Helper()
	schema := compiled(t, s)
	for _, e := range list {
		text := with(t, s, e)
		if _, problems := Parse(text); len(problems) > 0 {
			t.Errorf("%v: %v", e, problems)
		}
		if err := validates(t, schema, text); err != nil {
			t.Errorf("%v: %v", e, err)
		}
	}
}

func TestClinicalRules(t *testing.T) {
	const finding, second = "examination.findings.0.", "examination.findings[1]."
	noReader, noReasons := edits{finding + "consistency": "typical_of", finding + "reasons": "Because."}, edits{
		finding + "consistency": "diagnostic_of", finding + "second_reader": edits{"who": "Reader 1", "date": "2026-05-04", "agrees": true}}
	run(t, ClinicalRecord, []broken{
		{"strong opinion without reasons", noReasons, Unfinished, second + "reasons", ReasonStrong, true},
		{"strong opinion without a second reader", noReader, Unfinished, second + "second_reader", ReasonSecondReader, true},
		{"strong opinion with blank reasons", edits{"examination.findings.1.reasons": "  "}, Unfinished, "examination.findings[2].reasons", ReasonStrong, true},
		{"strong conclusion without reasons", edits{"conclusions.overall_consistency": "diagnostic_of"}, Unfinished, "conclusions.reasons", ReasonStrong, true},
		{"strong conclusion without a second reader", edits{"conclusions.overall_consistency": "typical_of"}, Unfinished, "conclusions.second_reader", ReasonSecondReader, true},
		{"second reader who disagrees silently", edits{"examination.findings.1.second_reader.agrees": false, "examination.findings.1.second_reader.remarks": absent{}},
			Unfinished, "examination.findings[2].second_reader.remarks", ReasonSecondReader, true},
		{"another degree", edits{finding + "consistency": "proved"}, Wrong, second + "consistency", ReasonCode, true},
		{"conduct", edits{"case_information.conducted": "freely"}, Wrong, "case_information.conducted", ReasonCode, true},
		{"no consent and no reason", edits{"case_information.consent": absent{}}, Unfinished, "case_information.consent", ReasonMissing, true},
		{"a date that is none", edits{"case_information.date": "2026-02-30"}, Wrong, "case_information.date", ReasonSyntax, false},
		{"date in words", edits{"case_information.date": "3 May 2026"}, Wrong, "case_information.date", ReasonSyntax, true},
		{"time without a zone", edits{"samples.0.taken_at": "2026-05-03T15:25:00"}, Wrong, "samples[1].taken_at", ReasonSyntax, true},
		{"signed before", edits{"signature.date": "2026-05-02"}, Unfinished, "signature.date", ReasonOrder, false},
		{"mark 0", edits{"marks.0.number": 0}, Wrong, "marks[1].number", ReasonRange, true},
		{"half a mark", edits{"marks.0.number": 1.5}, Wrong, "marks[1].number", ReasonRange, true},
		{"mark number twice", edits{"marks.1.number": 1}, Unfinished, "marks[2].number", ReasonTwice, false},
		{"another map", edits{"marks.0.map": "tail"}, Wrong, "marks[1].map", ReasonCode, true},
		{"right of the map", edits{"marks.0.x": 1.01}, Wrong, "marks[1].x", ReasonRange, true},
		{"above the map", edits{"marks.0.y": -0.01}, Wrong, "marks[1].y", ReasonRange, true},
		{"position as text", edits{"marks.0.y": "0.5"}, Wrong, "marks[1].y", ReasonType, true},
		{"outline off the map", edits{"marks.0.path.1.x": 2}, Wrong, "marks[1].path[2].x", ReasonRange, true},
		{"genital map without a yes", edits{"marks.0.map": "genital", "marks.0.consented": false}, Wrong, "marks[1].consented", ReasonConsent, false},
		{"genital map without an answer", edits{"marks.0.map": "genital", "marks.0.consented": absent{}}, Wrong, "marks[1].consented", ReasonConsent, true},
		{"side and map", edits{"marks.0.side": "right"}, Ask, "marks[1].side", ReasonSide, false},
		{"unknown photograph", edits{"marks.0.photos.+": "P9"}, Unfinished, "marks[1].photos[3]", ReasonReference, false},
		{"photograph twice", edits{"marks.0.photos.+": "P1"}, Unfinished, "marks[1].photos[3]", ReasonTwice, false},
		{"close-up first", edits{"marks.0.photos.0": "P2", "marks.0.photos.1": "P1"}, Unfinished, "marks[1].photos[1]", ReasonOrder, false},
		{"no close-up", edits{"marks.0.photos": []any{"P1"}}, Ask, "marks[1].photos", ReasonOrder, false},
		{"close-up without a scale", edits{"photographs.1.scale": false}, Unfinished, "photographs[2].exception", ReasonException, false},
		{"black and white", edits{"photographs.1.colour": false}, Unfinished, "photographs[2].exception", ReasonException, true},
		{"photograph without a yes", edits{"photographs.1.consented": false}, Wrong, "photographs[2].consented", ReasonConsent, false},
		{"photograph named twice", edits{"photographs.1.id": "P1"}, Unfinished, "photographs[2].id", ReasonTwice, false},
		{"item of a photograph", edits{"photographs.1.item": "itm-1"}, Wrong, "photographs[2].item", ReasonSyntax, true},
		{"digest of a photograph", edits{"photographs.1.sha256": strings.Repeat("A", 64)}, Wrong, "photographs[2].sha256", ReasonSyntax, true},
		{"finding with an unknown mark", edits{finding + "marks": []any{7}}, Unfinished, second + "marks[1]", ReasonReference, false},
		{"finding named twice", edits{"examination.findings.1.id": "F1"}, Unfinished, "examination.findings[2].id", ReasonTwice, false},
		{"marks without a degree", edits{finding + "consistency": absent{}}, Ask, second + "consistency", ReasonConsistency, false},
		{"no word on consultations", edits{"consultations": absent{}}, Ask, "consultations", ReasonConsultation, false},
		{"sample without a seal", edits{"samples.0.seal": absent{}}, Unfinished, "samples[1].seal", ReasonMissing, true},
		{"yes as text", edits{"case_information.security_forces_present": "no"}, Wrong, "case_information.security_forces_present", ReasonType, true},
		{"a name for the person", edits{"case_information.subject.name": "A."}, Wrong, "case_information.subject.name", ReasonField, true},
		{"text as a list", edits{"background": []any{"x"}}, Wrong, "background", ReasonType, true},
		{"text as a number", edits{"symptoms": 3}, Wrong, "symptoms", ReasonType, true},
		{"list as text", edits{"tests": "none"}, Wrong, "tests", ReasonType, true},
		{"group as text", edits{"signature": "A."}, Wrong, "signature", ReasonType, true},
		{"too long", edits{"qualifications": strings.Repeat("é", medium+1)}, Wrong, "qualifications", ReasonLength, true},
		{"too many", edits{"case_information.present": strings.Split(strings.Repeat("x,", 50)+"x", ",")}, Wrong, "case_information.present", ReasonLength, true},
		{"escape sequence", edits{"background": "\x1b[2J"}, Wrong, "background", ReasonCharacter, true},
		{"forced direction", edits{"background": "a\u202eb"}, Wrong, "background", ReasonCharacter, true},
		{"lost letter", edits{"tests": edits{"not_done": "\ufffd"}}, Wrong, "tests.not_done", ReasonCharacter, true},
		{"reason as a number", edits{"tests": edits{"not_done": 1}}, Wrong, "tests.not_done", ReasonType, true},
		{"empty entry", edits{"case_information.present.1": ""}, Wrong, "case_information.present[2]", ReasonEmpty, true},
	})
	accepted(t, ClinicalRecord,
		edits{"case_information.consent": absent{}, "case_information.no_consent_reason": "Unconscious; examined as an emergency."},
		edits{"marks.0.map": "genital", "marks.0.x": 0, "marks.0.y": 1},
		edits{"photographs.1.scale": false, "photographs.1.exception": "The scale was lost on the way."},
		edits{"photographs.2.kind": "close_up", "photographs.2.scale": true, "photographs.2.exception": "No overview: the person did not wish one."},
		edits{"background": "line\nline\tثم"},
		edits{"conclusions.overall_consistency": "typical_of", "conclusions.reasons": "Because.", "conclusions.second_reader": edits{"who": "Reader 1", "date": "2026-05-04", "agrees": true}},
	)
}

func TestAcquisitionRules(t *testing.T) {
	unknown := edits{"unknown": "not recorded then"}
	run(t, Acquisition, []broken{
		{"value without a source", edits{"method.source": absent{}}, Unfinished, "method.source", ReasonMissing, true},
		{"value without confidence", edits{"tool.name.confidence": ""}, Unfinished, "tool.name.confidence", ReasonMissing, true},
		{"confidence", edits{"tool.name.confidence": "sure"}, Wrong, "tool.name.confidence", ReasonCode, true},
		{"bare value", edits{"place": "Office"}, Wrong, "place", ReasonType, true},
		{"unknown without a reason", edits{"place": edits{"unknown": " "}}, Unfinished, "place", ReasonMissing, true},
		{"value and unknown", edits{"place.unknown": "x"}, Wrong, "place", ReasonBoth, true},
		{"method", edits{"method.value": "magic"}, Wrong, "method.value", ReasonCode, true},
		{"received via", edits{"received_via": edits{"value": "pigeon", "source": "x", "confidence": "low"}}, Wrong, "received_via.value", ReasonCode, true},
		{"assurance", edits{"assurance.value": "good"}, Wrong, "assurance.value", ReasonCode, true},
		{"verified later, by nothing", edits{"assurance.value": "verified_later", "corroborating": absent{}}, Unfinished, "corroborating", ReasonCorroborated, true},
		{"online without its section", edits{"online": absent{}}, Unfinished, "online", ReasonOnline, true},
		{"online without an address", edits{"online.url": absent{}}, Unfinished, "online.url", ReasonMissing, true},
		{"picture without address", edits{"online.url": unknown}, Ask, "online.url", ReasonScreenshot, false},
		{"picture alone", edits{"online.wacz": unknown, "online.page_source": unknown}, Ask, "online.wacz", ReasonScreenshot, false},
		{"picture of a screen", edits{"method.value": "screenshot", "online": absent{}}, Ask, "online", ReasonScreenshot, false},
		{"file without a digest", edits{"online.wacz.value.sha256": absent{}}, Unfinished, "online.wacz.value.sha256", ReasonMissing, true},
		{"digest", edits{"digests.image.value": "abc"}, Wrong, "digests.image.value", ReasonSyntax, true},
		{"change without who answers", edits{"unavoidable_changes.0.answered_by": absent{}}, Unfinished, "unavoidable_changes[1].answered_by", ReasonMissing, true},
		{"change without a reason", edits{"unavoidable_changes.0.reason": ""}, Unfinished, "unavoidable_changes[1].reason", ReasonMissing, true},
		{"no word on changes", edits{"unavoidable_changes": []any{}}, Unfinished, "unavoidable_changes", ReasonMissing, true},
		{"ends before it begins", edits{"end.value": "2026-05-12T08:00:00+01:00"}, Unfinished, "end.value", ReasonOrder, false},
		{"capture ends before it begins", edits{"online.capture_end.value": "2026-05-12T09:02:00+02:00"}, Unfinished, "online.capture_end.value", ReasonOrder, false},
		{"offset as text", edits{"clock.offset_seconds.value": "0.4"}, Wrong, "clock.offset_seconds.value", ReasonType, true},
	})
	accepted(t, Acquisition,
		edits{"method.value": "disk_image", "online": absent{}, "corroborating": absent{}},
		edits{"online.wacz": unknown}, edits{"online.page_source": unknown}, edits{"online.full_page_image": unknown},
		edits{"unavoidable_changes": edits{"none": "a write blocker was used throughout"}},
		edits{"end.value": "2026-05-12T07:30:00Z"}, // another zone, later
	)
	// Section 6 complete: every field is asked for, and "unknown, because" is an answer to each.
	for _, f := range acquisition.shape.fields {
		if f.optional || f.name == "schema" {
			continue
		}
		d := parsed(t, with(t, Acquisition, edits{f.name: absent{}}))
		if !reported(d.Sealable(), Unfinished, f.name, ReasonMissing) {
			t.Errorf("nobody asks for %s", f.name)
		}
		if f.is.stated {
			accepted(t, Acquisition, edits{f.name: unknown})
		}
	}
}

func TestConsentRules(t *testing.T) {
	child := edits{"age_rule": "From 16 alone, from 12 with a parent.", "view": "\"I want it to be kept.\""}
	proxy := edits{"name": "Aunt", "relation": "Guardian", "ground": "Order of the family court"}
	run(t, ConsentForm, []broken{
		{"proxy without who", edits{"by": "proxy"}, Unfinished, "proxy", ReasonProxy, true},
		{"proxy without best interests", edits{"by": "proxy", "proxy": proxy}, Unfinished, "best_interests", ReasonProxy, true},
		{"proxy without a name", edits{"by": "proxy", "proxy": edits{"relation": "x", "ground": "x"}}, Unfinished, "proxy.name", ReasonMissing, true},
		{"proxy without a relation", edits{"by": "proxy", "proxy": edits{"name": "x", "ground": "x"}}, Unfinished, "proxy.relation", ReasonMissing, true},
		{"proxy without a ground", edits{"by": "proxy", "proxy": edits{"name": "x", "relation": "x"}}, Unfinished, "proxy.ground", ReasonMissing, true},
		{"proxy for an able adult", edits{"by": "proxy", "proxy": proxy, "best_interests": "x"}, Unfinished, "capacity.presumed", ReasonCapacity, false},
		{"minor unheard", edits{"minor": true}, Unfinished, "child", ReasonMinor, true},
		{"minor without best interests", edits{"minor": true, "child": child}, Unfinished, "best_interests", ReasonMinor, true},
		{"minor without an age rule", edits{"minor": true, "child": edits{"view": "x"}}, Unfinished, "child.age_rule", ReasonMissing, true},
		{"minor without a view", edits{"minor": true, "child": edits{"age_rule": "x"}}, Unfinished, "child.view", ReasonMissing, true},
		{"not able, says nobody", edits{"capacity.presumed": false}, Unfinished, "capacity.assessment", ReasonCapacity, true},
		{"no word on support", edits{"capacity.support": absent{}}, Unfinished, "capacity.support", ReasonMissing, true},
		{"channel without a rule", edits{"contact.rule": absent{}}, Unfinished, "contact.rule", ReasonContact, true},
		{"channel", edits{"contact.channel": "letterbox"}, Wrong, "contact.channel", ReasonCode, true},
		{"spoken, not recorded", edits{"signature.item": absent{}}, Unfinished, "signature.item", ReasonSpoken, true},
		{"GPS", edits{"shared_copies.gps": "blur"}, Wrong, "shared_copies.gps", ReasonCode, true},
		{"camera numbers", edits{"shared_copies.serial_numbers": absent{}}, Unfinished, "shared_copies.serial_numbers", ReasonMissing, true},
		{"refusal without a reason", edits{"refusals.0.reason": absent{}}, Unfinished, "refusals[1].reason", ReasonMissing, true},
		{"refusal of something else", edits{"refusals.0.answer": "everything"}, Wrong, "refusals[1].answer", ReasonCode, true},
		{"refused twice", edits{"refusals.1.answer": "police_photographs"}, Unfinished, "refusals[2].answer", ReasonTwice, false},
		{"period", edits{"period.until": "2026-05-03"}, Unfinished, "period.until", ReasonOrder, false},
		{"language", edits{"language": "French"}, Wrong, "language", ReasonSyntax, true},
		{"by", edits{"by": "doctor"}, Wrong, "by", ReasonCode, true},
	})
	accepted(t, ConsentForm,
		edits{"minor": true, "child": child, "best_interests": "Care goes on."},
		edits{"minor": true, "by": "proxy", "proxy": proxy, "child": child, "best_interests": "Care goes on."},
		edits{"by": "proxy", "proxy": proxy, "best_interests": "x", "capacity.presumed": false, "capacity.assessment": "Two physicians, unconscious."},
		edits{"contact": edits{"channel": "none"}}, edits{"refusals": absent{}, "feedback_date": absent{}},
		edits{"signature.kind": "mark", "signature.item": absent{}},
	)
	for _, f := range consentForm.shape.fields {
		if f.optional || f.name == "schema" {
			continue
		}
		if d := parsed(t, with(t, ConsentForm, edits{f.name: absent{}})); !reported(d.Sealable(), Unfinished, f.name, ReasonMissing) {
			t.Errorf("nobody asks for %s", f.name)
		}
	}
}

// TestRefusals: what can be refused in the form is what evidence asks.
func TestRefusals(t *testing.T) {
	var want []string
	for f := range reflect.TypeFor[evidence.Answers]().Fields() {
		want = append(want, f.Tag.Get("json"))
	}
	refusals, _ := consentForm.shape.field("refusals")
	answer, _ := refusals.is.of.field("answer")
	if !slices.Equal(answer.is.codes, want) {
		t.Errorf("%q, but evidence asks %q", answer.is.codes, want)
	}
}

func TestIdentityRules(t *testing.T) {
	run(t, Identity, []broken{
		{"no name", edits{"names": absent{}}, Unfinished, "names", ReasonMissing, true},
		{"kind of a name", edits{"names.0.kind": "nick"}, Wrong, "names[1].kind", ReasonCode, true},
		{"born", edits{"born": "1994-"}, Wrong, "born", ReasonSyntax, true},
		{"born in month 13", edits{"born": "1994-13"}, Wrong, "born", ReasonSyntax, true},
		{"nationality", edits{"nationalities.0": "Dutch"}, Wrong, "nationalities[1]", ReasonSyntax, true},
		{"consent", edits{"consent": "con-x"}, Wrong, "consent", ReasonSyntax, true},
		{"reference twice", edits{"persons.1.reference": "Interpreter 1"}, Unfinished, "persons[2].reference", ReasonTwice, false},
	})
	accepted(t, Identity, edits{"born": "1994"}, edits{"born": "1994-03-21"}, edits{"born": absent{}, "persons": absent{}})
}

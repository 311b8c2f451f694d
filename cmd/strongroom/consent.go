package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/words"
)

func consentCommand(a *app) *cobra.Command {
	return group("consent", "Consent: give, narrow, withdraw, show, name a helper",
		`A person decides each point. Nothing is ticked beforehand, there is no answer
for everything, and what was not asked counts as no. Withdrawing is one command
and asks for no reason.`,
		giveConsentCommand(a), narrowConsentCommand(a), withdrawConsentCommand(a), delegateCommand(a), endDelegationCommand(a),
		listConsentsCommand(a), showConsentCommand(a))
}

// question is one answer of a consent (RULES §4), as it is asked (INTERFACE §4, J1).
type question struct {
	flag   string
	answer func(*evidence.Answers) *evidence.Answer
}

var questions = []question{
	{"examination", func(a *evidence.Answers) *evidence.Answer { return &a.Examination }},
	{"photographs", func(a *evidence.Answers) *evidence.Answer { return &a.Photographs }},
	{"storage", func(a *evidence.Answers) *evidence.Answer { return &a.Storage }},
	{"police-information", func(a *evidence.Answers) *evidence.Answer { return &a.PoliceInformation }},
	{"police-photographs", func(a *evidence.Answers) *evidence.Answer { return &a.PolicePhotographs }},
	{"police-physical", func(a *evidence.Answers) *evidence.Answer { return &a.PolicePhysical }},
	{"research", func(a *evidence.Answers) *evidence.Answer { return &a.Research }},
}

func giveConsentCommand(a *app) *cobra.Command {
	given := make(map[string]*string)
	var in, form, record, formItem, consent, from, until, by, subject string
	var courts []string
	var askFirst, yes bool
	c := &cobra.Command{
		Use:   "give --case CASE --form FILE --until TIME",
		Short: "Record a person's answers, with the signed form",
		Long: `Deposits the signed consent form and records the answers, each for itself. The
form is a file made with strongroom record new consent-form, or a scanned paper
with that file beside it (--record): who judged the person's capacity, which
language, which interpreter, no pressure. The file is sealed with the paper.

It must be complete, refuse nothing to which the answer here is yes, list each
answer that is no, and hold for as long as is said here: --from and --until
within its days. What differs is listed, and nothing is recorded. Of a form
deposited before (--form-item) you are told if it cannot be read here: give its
file as --form.

Answers that are not given as options are asked one by one at a terminal:
yes, no, or later. Later and not asked count as no.

Widening is a new version with a new form: add --consent. Before recording, all
answers are shown; you type "record".

Signs:     item.deposited for the form, consent.given.
For good:  the answers stay in the history. They can be withdrawn at any time.`,
		Example: `  strongroom consent give --case cas-7c2k --form form.pdf \
      --record consent.json --until 2031-01-01 --storage yes --photographs no \
      --court NL:information`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			p := client.Consent{By: by, AskFirst: askFirst, From: evidence.At(time.Now().Truncate(time.Minute))}
			if p.Case, err = findCase(c.Context(), cl, in); err != nil {
				return err
			}
			if consent != "" {
				if p.Consent, err = findConsent(c.Context(), cl, consent); err != nil {
					return err
				}
			}
			if subject != "" {
				if p.Subject, err = findActor(c.Context(), cl, subject); err != nil {
					return err
				}
			}
			if p.Until, err = when(until); err != nil {
				return err
			}
			if from != "" {
				if p.From, err = when(from); err != nil {
					return err
				}
			}
			if p.Answers, err = a.answers(given, courts); err != nil {
				return err
			}
			if formItem != "" {
				if p.FormItem, err = findItem(c.Context(), cl, formItem); err != nil {
					return err
				}
			}
			return a.giveConsent(c.Context(), cl, p, form, record, yes)
		},
	}
	f := c.Flags()
	f.StringVar(&in, "case", "", "the `CASE`")
	f.StringVar(&form, "form", "", "`FILE` of the signed form")
	f.StringVar(&record, "record", "", "`FILE` that says what a scanned form does not, made with strongroom record new consent-form")
	f.StringVar(&formItem, "form-item", "", "a form deposited before, an `ITEM`; --form is then only compared")
	f.StringVar(&consent, "consent", "", "an earlier `CONSENT`, of which this is the next version")
	f.StringVar(&subject, "subject", "", "the person concerned, an `ACTOR`, if that person has keys")
	f.StringVar(&from, "from", "", "begin, a `TIME` (default: now)")
	f.StringVar(&until, "until", "", "end, a `TIME`: a date, or a length from now such as 365d")
	f.StringVar(&by, "by", "self", "who answered: self or proxy")
	f.BoolVar(&askFirst, "ask-first", false, "the person is asked before each share")
	for _, q := range questions {
		given[q.flag] = f.String(q.flag, "", "yes or no: "+words.English().Say("question."+q.flag))
	}
	f.StringArrayVar(&courts, "court", nil, "courts and defence of a country may see: NL:information,photographs,physical; repeat it")
	f.BoolVar(&yes, "yes", false, "do not ask; for scripts")
	required(c, "case", "until")
	c.MarkFlagsOneRequired("form", "form-item")
	return c
}

// answers takes the answers given as options and asks for the others if a person sits at the terminal.
func (a *app) answers(given map[string]*string, courts []string) (answers evidence.Answers, err error) {
	_, person := terminal(a.in)
	for _, q := range questions {
		said := *given[q.flag]
		if said == "" && person && !a.json {
			if said, err = a.askAnswer(q); err != nil {
				return answers, err
			}
		}
		answer, ok := answered[said]
		if !ok {
			return answers, usage("an answer is yes, no or later")
		}
		*q.answer(&answers) = answer
	}
	for _, s := range courts {
		country, kinds, _ := strings.Cut(s, ":")
		court := evidence.CourtAnswer{Jurisdiction: country, Information: evidence.No, Photographs: evidence.No, Physical: evidence.No}
		for kind := range strings.SplitSeq(kinds, ",") {
			switch kind {
			case "information":
				court.Information = evidence.Yes
			case "photographs":
				court.Photographs = evidence.Yes
			case "physical":
				court.Physical = evidence.Yes
			default:
				return answers, usage("a court is written NL:information,photographs,physical")
			}
		}
		answers.Courts = append(answers.Courts, court)
	}
	return answers, nil
}

// answered are the words for an answer; what was not asked counts as no.
var answered = map[string]evidence.Answer{"yes": evidence.Yes, "no": evidence.No, "later": evidence.NotAsked, "": evidence.NotAsked}

// askAnswer asks a question until the answer is one: a word of answered, typed in her language or in English.
func (a *app) askAnswer(q question) (string, error) {
	l := a.words()
	for {
		typed, err := a.ask(l.Say("ask.answer", "question", l.Say("question."+q.flag), "yes", l.Say("said.yes"), "no", l.Say("said.no"), "later", l.Say("said.later")))
		if err != nil {
			return "", err
		}
		for word := range answered {
			if words.Same(typed, word) || word != "" && words.Same(typed, l.Code("said", word)) {
				return word, nil
			}
		}
	}
}

func (a *app) giveConsent(ctx context.Context, cl *client.Client, p client.Consent, form, record string, yes bool) error {
	if form != "" && p.FormItem != "" {
		var err error
		if p.Form.Description.Form, err = consentDocument(form); err != nil {
			return err
		}
	} else if form != "" {
		file, err := openSteady(form)
		if err != nil {
			return err
		}
		defer file.Close()
		p.Form.Label = "Consent form"
		if err := file.describe(&p.Form, form); err != nil {
			return err
		}
		if p.Form.Description.Form, err = consentDocument(form); err != nil {
			return err
		}
	}
	if record != "" {
		if form == "" || p.FormItem != "" || p.Form.Description.Form != nil {
			return usage("--record goes with --form, a scanned paper")
		}
		var err error
		if p.Form.Description.Form, err = consentDocument(record); err != nil {
			return err
		}
		if p.Form.Description.Form == nil {
			return usage("--record is a file made with strongroom record new consent-form")
		}
	}
	compared, err := cl.CompareForm(ctx, p)
	if err != nil {
		return err
	}
	l := a.words()
	rows := append([]row{{l.Say("label.answers"), l.Say("give.confirm")},
		{l.Say("label.form"), l.Say("form."+string(compared), "option", "--form", "command", "strongroom item show")}}, answerRows(l, p.Answers)...)
	if compared == client.FormPaper {
		rows = append(rows, row{l.Say("label.missing"), l.Say("form.bare", "option", "--record", "command", "strongroom record new consent-form")})
	}
	rows = append(rows, row{l.Say("label.until"), dateIn(l, p.Until)}, row{l.Say("label.later"), l.Say("give.later")})
	if err := a.consent(yes, "record", rows...); err != nil {
		return err
	}
	id, item, r, err := cl.GiveConsent(ctx, p)
	if err != nil {
		if item != "" {
			printRows(a.err, row{l.Say("label.form"), l.Say("give.deposited", "item", item, "option", "--form-item")})
		}
		return err
	}
	return a.recorded(r, fields{"consent": id, "form": item, "form_compared": compared, "case": p.Case},
		row{l.Say("label.consent"), l.Isolate(string(id))}, row{l.Say("label.form"), l.Isolate(string(item))},
		row{l.Say("label.next"), l.Say("give.next", "command", "strongroom deposit --consent "+string(id))})
}

// consentDocument is the file itself if it is a record, and nil for a scanned paper or another program's text (RTF begins with a brace, too).
func consentDocument(name string) (json.RawMessage, error) {
	text, err := readDocument(name)
	if start := bytes.TrimSpace(text); err != nil || !bytes.HasPrefix(start, []byte("{")) || bytes.HasPrefix(start, []byte(`{\rtf`)) {
		return nil, err
	}
	return text, nil
}

func answerRows(l *words.Language, answers evidence.Answers) []row {
	var rows []row
	for _, q := range questions {
		rows = append(rows, row{l.Say("answer." + answerWord(*q.answer(&answers))), l.Say("question." + q.flag)})
	}
	for _, c := range answers.Courts {
		rows = append(rows, row{l.Isolate(c.Jurisdiction), l.Say("answers.courts", "findings", l.Say("said."+answerWord(c.Information)),
			"photographs", l.Say("said."+answerWord(c.Photographs)), "objects", l.Say("said."+answerWord(c.Physical)))})
	}
	return rows
}

// answerWord is an answer as the catalogues name it.
func answerWord(a evidence.Answer) string {
	if a == evidence.Yes || a == evidence.No {
		return string(a)
	}
	return string(evidence.NotAsked)
}

func showConsentCommand(a *app) *cobra.Command {
	return about(a, &cobra.Command{
		Use:   "show CONSENT",
		Short: "Show the answers of a consent",
		Long: `Shows the present version of a consent from its checked history.

Signs:     nothing.`,
		Example: `  strongroom consent show con-5ysd…`,
	}, findConsent, func(ctx context.Context, cl *client.Client, id evidence.ConsentID) error {
		v, err := cl.Look(ctx, evidence.ConsentOf(id))
		if err != nil {
			return err
		}
		s, l := v.State(evidence.ConsentOf(id)).(*evidence.ConsentState), a.words()
		state := l.Say("consent.in_force", "version", s.Version)
		if err := s.InForce(v.Time); err != nil {
			state = l.Say("consent.over", "version", s.Version, "why", l.Say("why."+evidence.ReasonOf(err)))
		}
		rows := []row{{l.Say("label.consent"), l.Isolate(string(id))}, {l.Say("label.version"), state}}
		rows = append(rows, answerRows(l, s.Answers)...)
		rows = append(rows, row{l.Say("label.from"), dateIn(l, s.From)}, row{l.Say("label.until"), dateIn(l, s.Until)}, row{l.Say("label.form"), l.Isolate(string(s.Form))})
		if s.AskFirst {
			rows = append(rows, row{l.Say("label.asked"), l.Say("consent.ask_first")})
		}
		if s.Subject != "" {
			rows = append(rows, row{l.Say("label.person"), l.Isolate(string(s.Subject))})
		}
		for _, d := range s.Advocates {
			helper := "consent.helper"
			if v.Time >= d.Until {
				helper = "consent.helper_ended"
			}
			rows = append(rows, row{l.Say("label.helper"), l.Say(helper, "advocate", d.Advocate, "rights", codesIn(l, "right", d.Rights), "date", dateIn(l, d.Until))})
		}
		return a.show(s, append(rows, row{l.Say("label.complete"), l.Say("consent.complete", "date", dateIn(l, v.Time))})...)
	})
}

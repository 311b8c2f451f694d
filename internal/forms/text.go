package forms

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

const textWidth = 80

// because is how a reason that stands instead of a value reads (INTERFACE §9).
var because = map[string]string{"not_done": "Not done, because ", "unknown": "Unknown, because ", "none": "None, because "}

// Text writes the document for people, headings in order, at most 80 columns wide where words allow it.
func (d *Document) Text(w io.Writer) error {
	p := printer{bufio.NewWriter(w)}
	p.lines("", d.table.title+" ("+string(d.Schema())+")")
	for _, f := range d.table.shape.fields {
		if f.name == "schema" {
			continue
		}
		v, ok := d.fields[f.name]
		if !ok && f.optional {
			continue
		}
		p.lines("", "")
		p.lines("", strings.ToUpper(f.title))
		if !ok {
			p.lines("  ", "Not filled in yet.")
			continue
		}
		p.content("  ", f.is, v)
	}
	return p.Flush()
}

type printer struct{ *bufio.Writer }

// content writes what stands under a title.
func (p printer) content(indent string, s shape, v any) {
	if reason, ok := reasonFor(s, v); ok {
		p.lines(indent, because[s.instead]+strings.TrimRight(reason.(string), ".")+".")
		return
	}
	switch v := v.(type) {
	case map[string]any:
		if s.stated {
			value, _ := s.field("value")
			p.content(indent, value.is, v["value"])
			p.lines(indent, "Source: "+plain(s, v["source"])+"; confidence: "+plain(s, v["confidence"])+".")
			return
		}
		for _, f := range s.fields {
			if member, ok := v[f.name]; ok {
				p.titled(indent, f.title, f.is, member)
			}
		}
	case []any:
		for i, e := range v {
			if s.of.kind != isGroup {
				p.lines(indent, "- "+plain(*s.of, e))
				continue
			}
			p.lines(indent, s.entry+" "+strconv.Itoa(i+1))
			p.content(indent+"  ", *s.of, e)
		}
	default:
		p.lines(indent, plain(s, v))
	}
}

// titled writes a title and what stands under it, on one line where that fits.
func (p printer) titled(indent, title string, s shape, v any) {
	if _, isReason := reasonFor(s, v); !isReason && s.kind != isGroup && s.kind != isList {
		if line := title + ": " + plain(s, v); s.kind != isText || !strings.Contains(line, "\n") && utf8.RuneCountInString(indent+line) <= textWidth {
			p.lines(indent, line)
			return
		}
	}
	p.lines(indent, title)
	p.content(indent+"  ", s, v)
}

// plain is a value without structure as a person says it. Codes are words joined by low lines.
func plain(s shape, v any) string {
	switch v := v.(type) {
	case string:
		if s.kind == isCode {
			return strings.ReplaceAll(v, "_", " ")
		}
		return v
	case bool:
		return map[bool]string{true: "yes", false: "no"}[v]
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return "not filled in"
}

// lines writes text broken at spaces. A break that somebody made is kept.
func (p printer) lines(indent, text string) {
	for paragraph := range strings.SplitSeq(text, "\n") {
		line := indent
		for i, word := range strings.Fields(paragraph) {
			switch {
			case i == 0:
				line += word
			case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > textWidth:
				fmt.Fprintln(p, line)
				line = indent + word
			default:
				line += " " + word
			}
		}
		fmt.Fprintln(p, strings.TrimRight(line, " "))
	}
}

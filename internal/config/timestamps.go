package config

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"time"
)

const (
	maxAuthorities = 8
	maxTimeout     = 10 * time.Second
)

// Classes are the classes of events that time stamps can be asked for.
var Classes = []string{"actor", "case", "consent", "grant", "hold", "item", "retention", "vault"}

var (
	authorityName = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
	dottedOID     = regexp.MustCompile(`^[0-2](\.(0|[1-9][0-9]{0,8})){1,15}$`)
)

func (t Timestamps) check(wrong func(field, what string) error) error {
	if len(t.Authorities) > maxAuthorities {
		return wrong("timestamps.authorities", "has more than 8")
	}
	names := make(map[string]bool)
	for i, a := range t.Authorities {
		at := fmt.Sprintf("timestamps.authorities[%d]", i)
		switch {
		case !authorityName.MatchString(a.Name):
			return wrong(at+".name", "must be at most 32 of a to z, 0 to 9 and -")
		case names[a.Name]:
			return wrong(at+".name", "is the name of another, too")
		case a.Name == Development:
			return wrong(at+".name", "is the development authority's name")
		case !address(a.URL, local):
			return wrong(at+".url", "must be https://host/… (http on this machine only)")
		case a.Policy != "" && !dottedOID.MatchString(a.Policy):
			return wrong(at+".policy", "must be a dotted object identifier")
		case a.Timeout < 0 || a.Timeout > maxTimeout:
			return wrong(at+".timeout", "must be at most 10s")
		case a.CRL != "" && !address(a.CRL, func(string) bool { return true }):
			return wrong(at+".crl", "must be http://host/… or https://host/…")
		}
		names[a.Name] = true
	}
	if t.Events == nil {
		return nil
	}
	if len(t.Authorities) == 0 {
		return wrong("timestamps.events", "is of no use without authorities")
	}
	for i, class := range *t.Events {
		if !slices.Contains(Classes, class) || slices.Contains((*t.Events)[:i], class) {
			return wrong("timestamps.events", "must be a list of actor, case, consent, grant, hold, item, retention, vault, each once")
		}
	}
	return nil
}

// Development is the name of the development authority, which is in no configuration: init makes it.
const Development = "development"

// address reports whether s is a whole https address, or an http one of a host that may be asked so.
func address(s string, unencrypted func(host string) bool) bool {
	u, err := url.Parse(s)
	return err == nil && u.Hostname() != "" && u.User == nil && u.Fragment == "" && u.Opaque == "" &&
		(u.Scheme == "https" || u.Scheme == "http" && unencrypted(u.Hostname()))
}

func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// SPDX-License-Identifier: Apache-2.0

package clickhouseengine

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// The data directory:
//
//	lock            held by the collector and inherited by the engine, so that it is free only when both are gone
//	run/            config.xml, the launcher and, during a start, users.xml (0600: password hashes), rewritten at each start
//	server/         the engine's own (--path)
type layout struct{ root string }

func (l layout) lock() string     { return filepath.Join(l.root, "lock") }
func (l layout) run() string      { return filepath.Join(l.root, "run") }
func (l layout) server() string   { return filepath.Join(l.root, "server") }
func (l layout) config() string   { return filepath.Join(l.run(), "config.xml") }
func (l layout) users() string    { return filepath.Join(l.run(), "users.xml") }
func (l layout) launcher() string { return filepath.Join(l.run(), "clickhouse") }

// Default rights leave out what reaches beyond the engine. In local mode READ ON FILE is every file that the process may open, which only the kernel
// bounds (confine_linux.go), and an engine like File or a dictionary's source is a way around it; so engines are named, and dictionaries are left out. So are access management,
// which local mode cannot do, and SYSTEM SHUTDOWN.
var (
	readRights  = "SELECT, SHOW, dictGet"
	writeRights = readRights + ", INSERT, ALTER, CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP, UNDROP TABLE, TRUNCATE, OPTIMIZE, " +
		"SYSTEM MERGES, SYSTEM TTL MERGES, SYSTEM MOVES, SYSTEM SYNC REPLICA, SYSTEM VIEWS"
	engineRights  = tableEngines()
	defaultGrants = []string{
		writeRights + ", CREATE TEMPORARY TABLE, CREATE FUNCTION, DROP FUNCTION, KILL QUERY, SYSTEM FLUSH, SYSTEM DROP CACHE, INTROSPECTION ON *.*",
		engineRights,
	}
	readGrants = []string{readRights + ", CREATE TEMPORARY TABLE ON *.*"}
)

// tableEngines is the right to create what keeps its data in the engine.
func tableEngines() string {
	engines := []string{"Atomic", "Memory", "Null", "Log", "TinyLog", "StripeLog", "Buffer", "Set", "Join", "Merge", "MaterializedView", "View", "GenerateRandom"}
	for _, kind := range []string{"", "Replacing", "Summing", "Aggregating", "Collapsing", "VersionedCollapsing", "Coalescing"} {
		engines = append(engines, kind+"MergeTree")
	}
	var b strings.Builder
	for i, name := range engines {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("TABLE ENGINE ON " + name)
	}
	return b.String()
}

// DefaultGrants returns the rights of a user without Databases, ReadOnly or Grants. The caller owns the slice.
func DefaultGrants() []string { return slices.Clone(defaultGrants) }

// internalQueries counts the statements of the engine's own session: the databases, two ports and the one that stays.
func internalQueries(o *Options) int { return len(o.Databases) + 3 }

// grantsOf returns what stands between GRANT and the end, for one user.
func grantsOf(u *User, o *Options) []string {
	files := func(grants []string) []string {
		if len(o.Readable) == 0 {
			return grants
		}
		return append(slices.Clone(grants), "READ ON FILE")
	}
	switch {
	case len(u.Grants) > 0:
		return u.Grants
	case len(u.Databases) == 0 && u.ReadOnly:
		return files(readGrants)
	case len(u.Databases) == 0:
		return files(defaultGrants)
	}
	// Without READ ON FILE: the tables of all databases are files too.
	rights := writeRights
	if u.ReadOnly {
		rights = readRights
	}
	grants := []string{"SELECT ON system.*", "CREATE TEMPORARY TABLE ON *.*"}
	for _, db := range u.Databases {
		grants = append(grants, rights+" ON "+quoteIdentifier(db)+".*")
	}
	if !u.ReadOnly {
		grants = append(grants, engineRights)
	}
	return grants
}

// quoteIdentifier writes a name as SQL.
func quoteIdentifier(s string) string {
	return "`" + strings.NewReplacer(`\`, `\\`, "`", "\\`").Replace(s) + "`"
}

// usersXML holds passwords only as SHA-256.
func usersXML(o *Options) []byte {
	var b bytes.Buffer
	b.WriteString("<clickhouse>\n<profiles>\n<default/>\n")
	settings := map[string]string{}
	if len(o.Readable) > 0 {
		settings["schema_inference_mode"] = "union" // files of events differ in their columns; by default only the first one's are seen
	}
	maps.Copy(settings, o.Settings)
	profile := func(name, readonly string) {
		b.WriteString("<" + name + ">" + readonly)
		for _, k := range sortedKeys(settings) {
			element(&b, k, settings[k])
		}
		b.WriteString("</" + name + ">\n")
	}
	profile("millrace", "")
	profile("millrace_readonly", "<readonly>2</readonly>")
	// The engine's own session cannot ask for a password, so anyone on this machine could log in like it. All its statements but one run before
	// the ports open, and this quota lets nobody run another.
	fmt.Fprintf(&b, "</profiles>\n<quotas>\n<default/>\n<internal><interval><duration>2147483647</duration><queries>%d</queries></interval></internal>\n</quotas>\n<users>\n",
		internalQueries(o))
	internal := []string{"SYSTEM LISTEN ON *.*", "CREATE TEMPORARY TABLE ON *.*", "TABLE ENGINE ON Atomic"}
	for _, db := range o.Databases {
		internal = append(internal, "CREATE DATABASE ON "+quoteIdentifier(db)+".*")
	}
	if !slices.ContainsFunc(o.Users, func(u User) bool { return u.Name == InternalUser }) {
		user(&b, &User{Name: InternalUser, Networks: []string{"127.0.0.1"}, Grants: internal}, "default", "internal")
	}
	for i := range o.Users {
		u := o.Users[i]
		u.Grants = grantsOf(&u, o)
		profileName := "millrace"
		switch {
		case u.Name == InternalUser: // a readonly profile would keep the session from opening the ports; the grants suffice
			u.Grants = append(slices.Clone(u.Grants), internal...)
		case u.ReadOnly:
			profileName = "millrace_readonly"
		}
		user(&b, &u, profileName, "default")
	}
	b.WriteString("</users>\n</clickhouse>\n")
	return b.Bytes()
}

// user writes one user. XML names cannot hold every user name; Validate has seen to it that this one is fit.
func user(b *bytes.Buffer, u *User, profile, quota string) {
	b.WriteString("<" + u.Name + ">")
	if u.Password == "" {
		b.WriteString("<no_password/>")
	} else {
		sum := sha256.Sum256([]byte(u.Password))
		element(b, "password_sha256_hex", hex.EncodeToString(sum[:]))
	}
	b.WriteString("<networks>")
	networks := u.Networks
	switch {
	case len(networks) > 0:
	case u.Password == "":
		networks = []string{"127.0.0.0/8", "::1"}
	default: // the endpoint decides who gets this far
		networks = []string{"::/0"}
	}
	for _, n := range networks {
		element(b, "ip", n)
	}
	b.WriteString("</networks>")
	element(b, "profile", profile)
	element(b, "quota", quota)
	b.WriteString("<grants>")
	for _, g := range u.Grants {
		element(b, "query", "GRANT "+g)
	}
	b.WriteString("</grants></" + u.Name + ">\n")
}

// configXML is the engine's configuration. What is not here has the default of ClickHouse's local mode.
func configXML(l layout, o *Options) []byte {
	var b bytes.Buffer
	b.WriteString("<clickhouse>\n")
	element(&b, "users_config", l.users())
	element(&b, "timezone", "UTC") // days and hours must not depend on the host
	if o.MaxMemory > 0 {
		element(&b, "max_server_memory_usage", strconv.FormatInt(o.MaxMemory, 10))
	} else {
		element(&b, "max_server_memory_usage_to_ram_ratio", "0.5") // the collector lives on the same machine
	}
	element(&b, "mark_cache_size", strconv.Itoa(512<<20))
	element(&b, "background_pool_size", "4") // merges; local mode has 2
	element(&b, "background_schedule_pool_size", "16")
	element(&b, "max_connections", "1024")
	b.WriteString("<logger><level>warning</level><console>1</console><async>false</async></logger>\n") // the last line before a death matters most
	b.WriteString("<send_crash_reports><enabled>false</enabled></send_crash_reports>\n")
	if o.QueryLog {
		for _, table := range []string{"query_log", "part_log"} {
			fmt.Fprintf(&b, "<%s><database>system</database><table>%s</table>"+
				"<engine>ENGINE = MergeTree ORDER BY event_time</engine>"+
				"<flush_interval_milliseconds>1000</flush_interval_milliseconds></%s>\n", table, table, table)
		}
	}
	b.WriteString("</clickhouse>\n")
	return b.Bytes()
}

func element(b *bytes.Buffer, name, text string) {
	b.WriteString("<" + name + ">")
	_ = xml.EscapeText(b, []byte(text)) // a bytes.Buffer does not fail
	b.WriteString("</" + name + ">\n")
}

// startQuery is what the engine's own session runs. Its last statement reads the standard input, which the collector holds open and never
// writes to: the engine ends in order when the collector closes it, or is gone.
func startQuery(o *Options) string {
	var b strings.Builder
	for _, db := range o.Databases {
		b.WriteString("CREATE DATABASE IF NOT EXISTS " + quoteIdentifier(db) + " ENGINE = Atomic; ")
	}
	b.WriteString("SYSTEM START LISTEN TCP; SYSTEM START LISTEN HTTP; ")
	b.WriteString("INSERT INTO FUNCTION null('line String') FROM INFILE '/dev/stdin' SETTINGS max_execution_time = 0 FORMAT LineAsString")
	return b.String()
}

// prepare creates the directories and writes the files of one start.
func prepare(l layout, o *Options, library string) error {
	for _, dir := range []string{l.run(), l.server()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("creating the ClickHouse engine's data directory: %w", err)
		}
	}
	// The system database's log tables are not attached again; their files would stop their re-creation.
	if err := os.RemoveAll(filepath.Join(l.server(), "data", "system")); err != nil {
		return fmt.Errorf("removing the engine's old system tables: %w", err)
	}
	launcher, err := launcherELF(library, runtime.GOARCH, !o.Unconfined)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		path string
		mode fs.FileMode
		data []byte
	}{
		{l.config(), 0o600, configXML(l, o)},
		{l.users(), 0o600, usersXML(o)},
		{l.launcher(), 0o700, launcher},
	} {
		if err := replaceFile(f.path, f.data, f.mode); err != nil {
			return fmt.Errorf("writing the ClickHouse engine's files: %w", err)
		}
	}
	return nil
}

// replaceFile writes a file by rename, so that a crash leaves the old or the new one; it leaves one alone that is right already, since a
// program that was written a moment ago can be refused as busy.
func replaceFile(path string, data []byte, mode fs.FileMode) error {
	path = filepath.Clean(path)
	if info, err := os.Lstat(path); err == nil && info.Mode() == mode {
		if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
			return nil
		}
	}
	f, err := os.OpenFile(filepath.Clean(path+".tmp"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Close()) // an old .tmp keeps its mode
	if err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

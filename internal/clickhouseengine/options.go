// SPDX-License-Identifier: Apache-2.0

package clickhouseengine

import (
	"time"

	"go.uber.org/zap"
)

// InternalUser is whom the engine's own session logs in as. ClickHouse's local mode has no other choice, and no password for it.
const InternalUser = "default"

// User may log in over native TCP and HTTP.
type User struct {
	Name     string
	Password string // empty: none is asked for
	// Databases bounds what the user sees and changes; empty is all.
	Databases []string
	ReadOnly  bool
	// Networks are the addresses or prefixes the user may come from; empty is any with a password and loopback without.
	Networks []string
	// Grants replaces the default rights: each is what stands between GRANT and TO.
	Grants []string
}

// Options configures an Engine. The caller owns it; New copies what it keeps.
type Options struct {
	Library  string // path of libchdb.so; empty: DefaultLibraryPath
	DataDir  string // the engine's alone; created when missing
	TCPAddr  string // native protocol, IP:port
	HTTPAddr string // IP:port, the same IP as TCPAddr
	Users    []User
	// Databases are created (ENGINE=Atomic) before the ports open.
	Databases []string
	// Settings go into every user's profile.
	Settings map[string]string
	// Readable are directories whose files users may read by the table function file(), if they see all databases and have no Grants. They are
	// created when missing. Relative paths begin beside the first. Where the engine cannot be confined, nobody may.
	Readable []string
	// Unconfined leaves the engine every file of the collector's user: for Grants that reach beyond.
	Unconfined bool
	// MaxMemory bounds the engine's memory in bytes; 0 is half of the machine's or container's.
	MaxMemory int64
	// QueryLog keeps system.query_log and system.part_log, until the next start.
	QueryLog bool

	StartTimeout   time.Duration // for one start, ports answering included
	StopTimeout    time.Duration // for finishing what runs before the engine is killed
	RestartInitial time.Duration // wait before the first restart
	RestartMax     time.Duration // bound of the doubling wait; a run longer than this resets it

	Logger *zap.Logger // nil: none

	// OnDown is called when the engine died or a restart failed; OnUp when it answers again after that, with the number of
	// restarts so far. Both are called from the supervisor alone, never after Stop returned, and must not call the Engine.
	OnDown func(error)
	OnUp   func(restarts int64)
}

// withDefaults fills what has a sensible value.
func (o Options) withDefaults() Options {
	fill := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	fill(&o.StartTimeout, 30*time.Second)
	fill(&o.StopTimeout, 10*time.Second)
	fill(&o.RestartInitial, 100*time.Millisecond)
	fill(&o.RestartMax, 10*time.Second)
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.OnDown == nil {
		o.OnDown = func(error) {}
	}
	if o.OnUp == nil {
		o.OnUp = func(int64) {}
	}
	return o
}

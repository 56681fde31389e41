// SPDX-License-Identifier: Apache-2.0

package objectstore

import (
	"bytes"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millrace/millrace/testbed/freeport"
	"github.com/millrace/millrace/testbed/miniotest"
)

// cutter stands before a server and ends connections in the middle of answers.
type cutter struct {
	addr string
	cuts atomic.Int64 // connections still to be cut
	at   atomic.Int64 // bytes of answers that one passes on before
	mu   sync.Mutex
	live []net.Conn // guarded by mu
}

func startCutter(t *testing.T, server string) *cutter {
	t.Helper()
	c := &cutter{addr: freeport.Must(t, 1)[0]}
	l, err := net.Listen("tcp", c.addr)
	require.NoError(t, err)
	var wg sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		c.hangUp()
		wg.Wait()
	})
	wg.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", server)
			if err != nil {
				_ = near.Close()
				continue
			}
			c.mu.Lock()
			c.live = append(c.live, near, far)
			c.mu.Unlock()
			wg.Go(func() {
				_, _ = io.Copy(far, near)
				_ = far.Close()
			})
			wg.Go(func() {
				if c.cuts.Add(-1) >= 0 {
					_, _ = io.CopyN(near, far, c.at.Load())
				} else {
					_, _ = io.Copy(near, far)
				}
				_ = near.Close()
				_ = far.Close()
			})
		}
	})
	return c
}

// hangUp ends the connections that there are, so that the next requests need new ones.
func (c *cutter) hangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.live {
		_ = conn.Close()
	}
	c.live = nil
}

func TestAnAnswerThatIsCutOffIsAskedForAgainAndNeverTakenForTheObjectsEnd(t *testing.T) {
	t.Parallel()
	server := miniotest.Start(t, miniotest.Options{})
	name := newBucket(server)
	cut := startCutter(t, server.Addr)
	s := s3Store(t, s3Config(server, name, func(c *S3Config) { c.Endpoint, c.MaxRetries = cut.addr, 3 }))
	content := random(8 << 20)
	put(t, s, "k", content)

	f := func(cuts, at int64, fails bool) {
		t.Helper()
		o, err := s.Open(t.Context(), "k")
		require.NoError(t, err)
		defer func() { require.NoError(t, o.Close()) }()
		cut.at.Store(at)
		cut.cuts.Store(cuts)
		cut.hangUp()
		p := make([]byte, 7<<20)
		n, err := o.ReadAt(p, 1000)
		require.True(t, bytes.Equal(content[1000:1000+n], p[:n]))
		if fails {
			require.Error(t, err)
			require.NotErrorIs(t, err, io.EOF)
			require.NotErrorIs(t, err, io.ErrUnexpectedEOF)
			require.False(t, IsPermanent(err))
			require.Less(t, n, len(p))
		} else {
			require.NoError(t, err)
			require.Len(t, p, n)
		}
		cut.cuts.Store(0)
	}
	f(0, 0, false)
	f(1, 1<<20, false)
	f(3, 1<<20, false)
	f(1000, 1<<20, true)
	f(1000, 0, true) // not even a header

	// Open reads the object's end.
	cut.at.Store(tailBytes / 2)
	cut.cuts.Store(2)
	cut.hangUp()
	require.True(t, bytes.Equal(content, get(t, s, "k")))
	cut.cuts.Store(1000)
	cut.hangUp()
	_, err := s.Open(t.Context(), "k")
	require.ErrorIs(t, err, errCut)
	require.NotErrorIs(t, err, io.ErrUnexpectedEOF)
}

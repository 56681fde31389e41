// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// proxy stands between the collector and a ClickHouse of its own process, for two reasons. The engine under test ends itself
// when a client's connection is reset while it reads (a server does not): when a client is gone, it is told so in order, by
// an end of what it reads, and may finish what it was sent. And connections can be cut without ending anybody: an INSERT
// that was sent whole is then stored, and the collector does not know.
type proxy struct {
	listener net.Listener
	to       string

	mu      sync.Mutex
	clients map[net.Conn]struct{} // guarded by mu
	closed  bool                  // guarded by mu

	all sync.WaitGroup
}

func startProxy(addr, to string) (*proxy, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listening before ClickHouse: %w", err)
	}
	p := &proxy{listener: l, to: to, clients: map[net.Conn]struct{}{}}
	p.all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			p.all.Go(func() { p.serve(client) })
		}
	})
	return p, nil
}

func (p *proxy) serve(client net.Conn) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		_ = client.Close() // nothing was said
		return
	}
	p.clients[client] = struct{}{}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.clients, client)
		p.mu.Unlock()
		_ = client.Close() // what matters was copied
	}()
	server, err := net.Dial("tcp", p.to)
	if err != nil {
		return // ClickHouse is down: the client sees its connection closed
	}
	defer func() { _ = server.Close() }() // after the server's last word
	var there sync.WaitGroup
	there.Go(func() {
		_, _ = io.Copy(server, client) // an error is the client's end
		_ = server.(*net.TCPConn).CloseWrite()
	})
	buf := make([]byte, 1<<16)
	for {
		n, err := server.Read(buf)
		if n > 0 {
			_, _ = client.Write(buf[:n]) // the server is heard to its end even if nobody listens any more
		}
		if err != nil {
			break
		}
	}
	_ = client.Close() // ends the other direction too
	there.Wait()
}

// cut closes every connection towards the collector.
func (p *proxy) cut() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.clients {
		_ = c.Close() // that is the point
		n++
	}
	return n
}

// close is for when ClickHouse has ended, which ends what is left.
func (p *proxy) close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	err := p.listener.Close()
	p.cut()
	p.all.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

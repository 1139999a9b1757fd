// New TLS 1.3 connections with one request each, by the standard library, whose key exchange has
// ML-KEM. usage: pqload HOST:PORT x25519|x25519mlkem768 CONNECTIONS SECONDS; prints JSON.
package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"sort"
	"strconv"
	"sync"
	"time"
)

func main() {
	if len(os.Args) != 5 {
		os.Exit(2)
	}
	runtime.GOMAXPROCS(1)
	group := tls.X25519
	if os.Args[2] == "x25519mlkem768" {
		group = tls.X25519MLKEM768
	}
	connections, _ := strconv.Atoi(os.Args[3])
	seconds, _ := strconv.ParseFloat(os.Args[4], 64)
	config := &tls.Config{
		InsecureSkipVerify: true,
		MinVersion:         tls.VersionTLS13,
		CurvePreferences:   []tls.CurveID{group},
	}
	end := time.Now().Add(time.Duration(seconds * float64(time.Second)))
	var lock sync.Mutex
	var wait sync.WaitGroup
	var took []float64
	failed := 0
	for i := 0; i < connections; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for time.Now().Before(end) {
				start := time.Now()
				err := once(os.Args[1], config)
				lock.Lock()
				if err != nil {
					failed++
				} else {
					took = append(took, float64(time.Since(start).Microseconds()))
				}
				lock.Unlock()
			}
		}()
	}
	wait.Wait()
	sort.Float64s(took)
	at := func(q float64) float64 {
		if len(took) == 0 {
			return 0
		}
		return took[int(q*float64(len(took)-1))]
	}
	fmt.Printf(`{"requests":%d,"seconds":%g,"p50":%g,"p99":%g,"p999":%g,"failed":%d}`,
		len(took), seconds, at(.5), at(.99), at(.999), failed)
}

func once(address string, config *tls.Config) error {
	connection, err := tls.Dial("tcp", address, config)
	if err != nil {
		return err
	}
	defer connection.Close()
	if suite := connection.ConnectionState().CipherSuite; suite != tls.TLS_AES_128_GCM_SHA256 {
		return fmt.Errorf("cipher suite %s", tls.CipherSuiteName(suite))
	}
	_, err = io.WriteString(connection,
		"GET /b/13 HTTP/1.1\r\nHost: bench.example\r\nConnection: close\r\n\r\n")
	if err != nil {
		return err
	}
	answer, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		return err
	}
	_, err = io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != 200 {
		return fmt.Errorf("status %d", answer.StatusCode)
	}
	return err
}

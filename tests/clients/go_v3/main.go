// Eclipse Paho's Go client for MQTT 3.1.1 as README "Once, and not twice" sets it. Arguments: see ../README.md.
package main

import (
	"flag"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

const window = 20

func main() {
	flags := flag.NewFlagSet("publish", flag.ExitOnError)
	port := flags.Int("port", 0, "")
	id := flags.String("id", "", "")
	flags.String("mqtt", "311", "")
	qos := flags.Int("qos", 0, "")
	start := flags.Int("start", 1, "")
	count := flags.Int("count", 0, "")
	store := flags.String("store", "", "")
	will := flags.Bool("will", false, "")
	flags.Parse(os.Args[2:])
	topic := "clients/" + *id

	options := mqtt.NewClientOptions().AddBroker(fmt.Sprintf("tcp://127.0.0.1:%d", *port)).SetClientID(*id).
		SetCleanSession(false).SetConnectRetry(true).SetConnectRetryInterval(100 * time.Millisecond).
		SetMaxReconnectInterval(200 * time.Millisecond)
	if *store != "" {
		options.SetStore(mqtt.NewFileStore(*store))
	}
	if *will {
		options.SetWill(topic, *id+" will", byte(*qos), false)
	}
	client := mqtt.NewClient(options)
	if token := client.Connect(); token.Wait() && token.Error() != nil {
		fmt.Fprintln(os.Stderr, token.Error())
		os.Exit(1)
	}
	room := make(chan bool, window)
	var all sync.WaitGroup
	for number := *start; number < *start+*count; number++ {
		room <- true
		all.Add(1)
		token := client.Publish(topic, byte(*qos), false, fmt.Sprintf("%s %d", *id, number))
		fmt.Println("taken", number)
		go func(number int) {
			token.Wait()
			// A write that failed as the connection broke; it is in the store, and sent again.
			if token.Error() != nil {
				fmt.Println("broken", number)
			} else {
				fmt.Println("acked", number)
			}
			<-room
			all.Done()
		}(number)
	}
	all.Wait()
	if *will {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	client.Disconnect(250)
}

// The protobuf subprotocols, as a protocol of the vendor's own client for JavaScript.
'use strict';

const protobuf = require('protobufjs');

const { root } = protobuf.parse(`
syntax = "proto3";
message UpstreamMessage {
  oneof message {
    SendToGroup send_to_group_message = 1;
    Event event_message = 5;
    Group join_group_message = 6;
    Group leave_group_message = 7;
    SequenceAck sequence_ack_message = 8;
    Nothing ping_message = 9;
  }
}
message SendToGroup {
  string group = 1;
  optional uint64 ack_id = 2;
  MessageData data = 3;
  bool no_echo = 4;
}
message Event {
  string event = 1;
  MessageData data = 2;
  optional uint64 ack_id = 3;
}
message Group {
  string group = 1;
  optional uint64 ack_id = 2;
}
message SequenceAck { uint64 sequence_id = 1; }
message Nothing {}
message Any {
  string type_url = 1;
  bytes value = 2;
}
message MessageData {
  oneof data {
    string text_data = 1;
    bytes binary_data = 2;
    Any protobuf_data = 3;
    string json_data = 4;
  }
}
message DownstreamMessage {
  oneof message {
    Ack ack_message = 1;
    DataMessage data_message = 2;
    SystemMessage system_message = 3;
    Nothing pong_message = 4;
  }
}
message Ack {
  uint64 ack_id = 1;
  bool success = 2;
  optional Error error = 3;
}
message Error {
  string name = 1;
  string message = 2;
}
message DataMessage {
  string from = 1;
  optional string group = 2;
  MessageData data = 3;
  optional uint64 sequence_id = 4;
}
message SystemMessage {
  oneof message {
    Connected connected_message = 1;
    Disconnected disconnected_message = 2;
  }
}
message Connected {
  string connection_id = 1;
  string user_id = 2;
  string reconnection_token = 3;
}
message Disconnected { string reason = 2; }
`);

const Up = root.lookupType('UpstreamMessage');
const Down = root.lookupType('DownstreamMessage');
const Any = root.lookupType('Any');

const bytes = (array) => array.buffer.slice(array.byteOffset, array.byteOffset + array.byteLength);

function write(message) {
  const { group, event, ackId, noEcho } = message;
  const data = () => {
    const value = message.data;
    switch (message.dataType) {
      case 'text':
        return { textData: value };
      case 'json':
        return { jsonData: JSON.stringify(value) };
      case 'binary':
        return { binaryData: new Uint8Array(value) };
      default:
        return { protobufData: Any.decode(new Uint8Array(value)) };
    }
  };
  switch (message.kind) {
    case 'joinGroup':
      return { joinGroupMessage: { group, ackId } };
    case 'leaveGroup':
      return { leaveGroupMessage: { group, ackId } };
    case 'sendToGroup':
      return { sendToGroupMessage: { group, ackId, noEcho, data: data() } };
    case 'sendEvent':
      return { eventMessage: { event, ackId, data: data() } };
    case 'sequenceAck':
      return { sequenceAckMessage: { sequenceId: message.sequenceId } };
    case 'ping':
      return { pingMessage: {} };
    default:
      throw new Error(`no ${message.kind}`);
  }
}

function read(input) {
  const frame = Down.decode(new Uint8Array(input));
  const { ackMessage, dataMessage, systemMessage } = frame;
  switch (frame.message) {
    case 'ackMessage': {
      const { ackId, success, error } = ackMessage;
      return { kind: 'ack', ackId: Number(ackId), success, error };
    }
    case 'dataMessage': {
      const { from, group, data, sequenceId } = dataMessage;
      const kind = from === 'group' ? 'groupData' : 'serverData';
      const found = {
        textData: () => ['text', data.textData],
        binaryData: () => ['binary', bytes(data.binaryData)],
        protobufData: () => ['protobuf', bytes(Any.encode(data.protobufData).finish())],
      };
      const [dataType, value] = found[data.data]();
      const has = Object.hasOwn(dataMessage, 'sequenceId');
      return { kind, group, dataType, data: value, sequenceId: has ? Number(sequenceId) : undefined };
    }
    case 'systemMessage': {
      const { connectedMessage, disconnectedMessage } = systemMessage;
      return connectedMessage
        ? { kind: 'connected', ...connectedMessage.toJSON() }
        : { kind: 'disconnected', message: disconnectedMessage.reason };
    }
    default:
      return { kind: 'pong' };
  }
}

/** A protocol for the vendor's client. */
const protocol = (name, isReliable) => () => ({
  name,
  isReliableSubProtocol: isReliable,
  parseMessages: read,
  writeMessage: (message) => bytes(Up.encode(Up.fromObject(write(message))).finish()),
});

/** An Any, as bytes. */
function any(typeUrl, value) {
  return bytes(Any.encode({ type_url: typeUrl, typeUrl, value }).finish());
}

module.exports = {
  WebPubSubProtobufProtocol: protocol('protobuf.webpubsub.azure.v1', false),
  WebPubSubProtobufReliableProtocol: protocol('protobuf.reliable.webpubsub.azure.v1', true),
  any,
};

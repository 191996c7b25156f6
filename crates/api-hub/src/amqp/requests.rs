//! What a proven device sends: telemetry, twin requests, answers to methods.

use serde_json::{Value, json};
use usher_amqp::{
    codec::{message::Message, performative::AmqpError},
    event::Delivery,
};
use usher_hub_embedded::{
    Code, Fault,
    live::{CALL_BYTES_MAX, MethodResult},
};

use super::{
    address::Node,
    batch,
    conversation::{Conversation, Ended, head},
    links::Place,
    message,
};
use crate::access::Refusal;

impl Conversation {
    pub(super) fn take_telemetry(&mut self, delivery: Delivery, message: &Message) -> Result<(), Ended> {
        match self.keep_telemetry(message) {
            Ok(()) => self.session.accept(delivery),
            Err(fault) => self.reject(delivery, &fault),
        }
        Ok(())
    }

    /// Keeps a message, or all messages of a batch: one outcome stands for all, so that none is kept where one cannot be read.
    fn keep_telemetry(&self, message: &Message) -> Result<(), Fault> {
        let Some(connection) = &self.connection else { return Err(Fault::invalid("Nobody is proven.")) };
        if message.format == batch::FORMAT {
            batch::each(message, |part| message::telemetry(part).map(|_| ()))?;
        }
        batch::each(message, |part| {
            let (properties, body) = message::telemetry(part)?;
            self.hub.accept_telemetry(connection.device_id(), properties, body)
        })
    }

    /// Refuses a message. The condition is what Node decides by (azure-iot-sdk-node: amqp_common_errors.ts).
    fn reject(&mut self, delivery: Delivery, fault: &Fault) {
        let condition = match fault.code {
            Code::MessageTooLarge => "amqp:link:message-size-exceeded",
            Code::DeviceNotFound => "amqp:not-found",
            Code::ArgumentInvalid => "com.microsoft:argument-error",
            _ => "amqp:internal-error",
        };
        let tracking_id = self.log_refusal("a message was refused", &Refusal::new(fault.code.name(), fault.message.clone()));
        let text = format!("{} Tracking ID: {}", fault.message, tracking_id.as_str());
        self.session.reject(delivery, AmqpError::new(condition, text));
    }

    pub(super) async fn answer_twin(&mut self, delivery: Delivery, request: &Message) -> Result<(), Ended> {
        self.session.accept(delivery);
        let answer = match self.ask_twin(request).await {
            Ok((status, version, body)) => message::twin_answer(request, status, version, body),
            Err(fault) => message::twin_answer(request, fault.code.status(), None, self.error_body(&fault)),
        };
        self.send(Place::ToDevice(Node::Twin), &answer)
    }

    async fn ask_twin(&mut self, request: &Message) -> Result<(u16, Option<u64>, String), Fault> {
        let device_id = self.connection.as_ref().ok_or_else(|| Fault::invalid("Nobody is proven."))?.device_id().clone();
        let named = |name| request.message_annotations.get_str(name).unwrap_or_default();
        match (named("operation"), named("resource")) {
            ("GET", "" | "/") => {
                let device = self.hub.device(&device_id).await?;
                Ok((200, None, device.twin.device_document().to_string()))
            }
            ("PATCH", message::REPORTED) => {
                let body = message::body(request).unwrap_or_default();
                let patch: Value = serde_json::from_slice(&body).map_err(|_| Fault::invalid("Reported properties are not valid JSON."))?;
                let version = self.hub.report(&device_id, &patch).await?;
                Ok((204, Some(version), String::new()))
            }
            (operation @ ("PUT" | "DELETE"), message::DESIRED) => {
                self.wants_desired = operation == "PUT";
                Ok((200, None, String::new()))
            }
            (operation, resource) => Err(Fault::invalid(format!("A twin has no operation {:?} on {:?}.", head(operation), head(resource)))),
        }
    }

    /// The body of a refused twin request, the same as over MQTT.
    fn error_body(&self, fault: &Fault) -> String {
        let tracking_id = self.log_refusal("a twin request was refused", &Refusal::new(fault.code.name(), fault.message.clone()));
        let body = json!({
            "errorCode": fault.code.number(), "trackingId": tracking_id.as_str(),
            "message": fault.message, "timestampUtc": self.hub.now().to_string(),
        });
        body.to_string()
    }

    pub(super) fn take_answer(&mut self, delivery: Delivery, message: &Message) -> Result<(), Ended> {
        let Some(connection) = &self.connection else { return Ok(()) };
        match method_result(message) {
            Ok((request_id, result)) => {
                if !connection.answer(&request_id, result) {
                    tracing::debug!(hub = %self.hub.name(), device = %connection.device_id(), "a method's answer came too late");
                }
                self.session.accept(delivery);
            }
            Err(fault) => self.reject(delivery, &fault),
        }
        Ok(())
    }
}

fn method_result(message: &Message) -> Result<(String, MethodResult), Fault> {
    let (request_id, status) =
        message::method_answer(message).ok_or_else(|| Fault::invalid("A method's answer needs a correlation ID and a status."))?;
    let body = message::body(message).unwrap_or_default();
    if body.len() > CALL_BYTES_MAX {
        return Err(Fault::new(Code::MessageTooLarge, format!("A method's answer may have {CALL_BYTES_MAX} bytes.")));
    }
    let payload = if body.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&body) };
    let payload = payload.map_err(|_| Fault::invalid("A method's answer is not valid JSON."))?;
    Ok((request_id, MethodResult { status, payload }))
}
